/* Consumers: who gets the next message.
 *
 * A consumer waits on one of three lists, or on none, and that is its state: on its queue's ring when it may be given
 * something, on its stream's list when the stream's credit is used up, on its outlet's list when the client's window
 * is; on none when its own limit is reached, until one of its messages is settled, and when another is the single
 * active one, until that is over.
 */
#ifndef BROKER_MODEL_CONSUMER_H
#define BROKER_MODEL_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/heap.h"
#include "base/list.h"
#include "broker/model/outlet.h"

struct broker;
struct entry;
struct outlet;
struct queue;
struct replay;
struct spec;
struct stream;

struct consumer {
    struct link waiting;   /* on queue->ring, stream->starved or outlet->stalled */
    struct queue *queue;   /* borrowed; NULL once it is gone */
    struct queue *awaited; /* borrowed: where all that it has out comes back to, and is waited for; NULL: nowhere */
    struct stream *stream; /* borrowed; NULL once its stream is gone */
    struct outlet *outlet; /* borrowed; NULL once it is gone */
    uint32_t number;       /* the session's */
    uint32_t limit;        /* 0: none */
    uint32_t out;
    bool no_ack, exclusive;
    bool gone; /* cancelled; there only for what it has out */
    int64_t priority;
    uint64_t timeout_ms;         /* x-consumer-timeout; SPEC_NONE: the queue's */
    struct link in_queue;        /* on queue->consumers */
    struct link in_stream;       /* on stream->consumers */
    struct heap groups;          /* of messages that it has out, and more is ready (groups.h) */
    struct replay *replay;       /* owned: of a stream's; else NULL */
    struct bytes tag, arguments; /* in data: what listings show */
    uint8_t data[];
};

/* A new consumer, on its queue's and its stream's lists. */
struct consumer *consumer_create(struct broker *b, struct queue *q, struct stream *s, uint32_t number,
                                 const struct spec *spec, uint32_t limit);

/* It ends; what it has out stays out with its stream. */
void consumer_delete(struct broker *b, struct consumer *c);

/* The same because its client has gone: nobody is given anything of its queue until what it has out has come back, for
 * that comes first. */
void consumer_leave(struct broker *b, struct consumer *c);

/* The same because its queue goes: tells its client. */
void consumer_cancel(struct broker *b, struct consumer *c);

/* Who is next to be given something from this queue; NULL: nobody can take any.  Those who cannot are moved to where
 * they wait. */
struct consumer *consumer_next(struct broker *b, struct queue *q);

/* Puts it, which waits nowhere, to where it belongs. */
void consumer_place(struct broker *b, struct consumer *c);

/* Hands it an entry that is on no list. */
void consumer_deliver(struct broker *b, struct consumer *c, struct entry *e);

/* It is not alone on the ring, and was given something: to the end of its turn. */
void consumer_end_turn(struct consumer *c);

/* How much it may have out from now on; what is out already stays.  False: this one's cannot be changed, because it
 * does not acknowledge, or it reads a stream, which needs a limit. */
bool consumer_set_limit(struct broker *b, struct consumer *c, uint32_t limit);

/* One more, one fewer of its messages is out. */
static inline void consumer_charge(struct consumer *c)
{
    c->out++;
    c->stream->credit_used++;
}
void consumer_release(struct broker *b, struct consumer *c);

/* Credit or window has come: all on this list look again where they belong. */
void consumer_wake_all(struct broker *b, struct list *waiting);

bool consumer_can_take(const struct consumer *c);
#endif
