/* Dead letters that must arrive: x-dead-letter-strategy at-least-once, where x-overflow is reject-publish and there is
 * a dead-letter exchange; otherwise dead letters go at most once (deadletter.h; reference queue-features 1.9).
 *
 * A letter goes to all the queues that it is routed to, by one record, or to none.  While its exchange is missing,
 * routes it nowhere or to a queue that refuses it, it waits in the queue's box: not ready, but counted where the
 * queue's length is limited.  The box is a queue of its own, without a name for clients, so that what waits is stored,
 * goes cold and comes back after a restart as in any other.  It is tried again when the topology changes, when the
 * queue that was full has room, and after LETTERS_RETRY_MS; of those that wait the first LETTERS_LOOKED are tried.
 */
#ifndef BROKER_MODEL_LETTERS_H
#define BROKER_MODEL_LETTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"

struct broker;
struct entry;
struct queue;
struct queue_kind;
struct spec;
struct vhost;

enum {
    LETTERS_RETRY_MS = 5000, /* between two attempts that nothing else has caused */
    LETTERS_SWEEP_MS = 100,  /* topology changes are looked at no more often … */
    LETTERS_SWEPT = 64,      /* boxes a millisecond */
    LETTERS_LOOKED = 32,     /* letters that are tried at once, though those before them cannot go */
};

/* The broker's. */
struct letters_state {
    struct list boxes;   /* those that hold something */
    struct list orphans; /* whose queues were not restored yet */
    uint64_t version;    /* of the topology that all of them have been tried with … */
    uint64_t swept_ms;   /* … and when */
};

void letters_state_init(struct letters_state *s);

extern const struct queue_kind queue_of_letters;

/* Deletes what is nobody's. */
void letters_state_fini(struct broker *b);

/* Must the queue's dead letters arrive? */
bool letters_must_arrive(const struct queue *q);

/* The entry, which is on no list and of such a queue, comes to its end: its letter goes, or waits in the box. */
void letters_send(struct broker *b, struct entry *e);

/* How many wait, and the bytes of their bodies. */
uint64_t letters_count(const struct queue *q);
uint64_t letters_bytes(const struct queue *q);

/* The topology has changed, and there are letters that wait: they are tried, or will be soon. */
bool letters_are_due(const struct broker *b);
uint64_t letters_deadline(const struct broker *b);
void letters_sweep(struct broker *b);

/* The queue had refused a letter, and may have room now. */
void letters_find_room(struct broker *b, struct queue *q);

/* The queue's options have changed: what need not arrive any more is dropped. */
void letters_judge(struct broker *b, struct queue *q);

/* The queue is being deleted, and its box with it. */
void letters_delete(struct broker *b, struct queue *q);

/* Is it a box's? */
bool letters_is_box(const struct spec *spec);

/* A box was restored, before its queue or after it; a queue was; and something is in a box. */
void letters_restore(struct broker *b, struct vhost *v, uint64_t id, const struct spec *spec);
void letters_adopt(struct broker *b, struct queue *q);
void letters_begin(struct broker *b, struct queue *box);

void letters_check(const struct broker *b, const struct queue *box);
#endif
