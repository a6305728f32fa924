/* Queues: messages in order, those that are out, and the consumers that wait for more.
 *
 * A message that comes back keeps its position (ready.h; reference amqp-protocol 7.9).  What is cold lies behind what
 * is in memory (cold.h): a queue that is not empty may have no head for as long as that is being loaded.
 *
 * What a type of queue does otherwise than the others is in its kind, a table of functions.
 */
#ifndef BROKER_MODEL_QUEUE_H
#define BROKER_MODEL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/model/entry.h"
#include "broker/model/expiring.h"
#include "broker/model/pace.h"
#include "broker/model/queue_spec.h"
#include "broker/model/ready.h"
#include "broker/model/state.h"
#include "broker/model/statistics_state.h"
#include "broker/model/utilisation.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

struct consumer;
struct delayed;
struct log;
struct outlet;
struct policy_pair;
struct vhost;

/* What depends on a queue's type. */
struct queue_kind {
    /* As queue_publish().  It was touched in this round (statistics.h). */
    bool (*publish)(struct broker *b, struct queue *q, struct message *msg);
    /* Looks after the queue, which is dirty: gives out, keeps limits. */
    void (*clean)(struct broker *b, struct queue *q);
    /* As queue_purge(); also what a queue that is deleted begins with. */
    uint64_t (*purge)(struct broker *b, struct queue *q);
    /* NULL, or why it cannot be done, on the heap: verb is SUBSCRIBE (spec and limit as the command says), GET or
     * PURGE_QUEUE. */
    char *(*refuse)(const struct queue *q, enum verb verb, const struct spec *spec, uint32_t limit,
                    enum reason *reason);
};

extern const struct queue_kind queue_ordinary; /* classic and quorum */

struct queue {
    /* What a message that is handed over looks at. */
    const struct queue_kind *kind;
    bool is_plain;  /* queue_is_plain(): judged by queue_judge() whenever that may change */
    bool is_paused; /* nobody is given anything; by the parameter paused-queue */
    bool had_consumer;
    bool gone;             /* deleted; there only for what is dying */
    bool is_awaited;       /* it has refused a letter that waits for room here */
    bool was_stored;       /* there were records of messages in it */
    bool is_shrinking;     /* more of its head has to go than went in a step: nobody is given that */
    uint8_t letters_looks; /* of a box: how many are tried next that cannot go */
    uint32_t consumer_count;
    uint32_t returners;   /* consumers that have left, and something of theirs is still to come back */
    uint64_t ready_count; /* in ready, and cold */
    uint64_t next_position;
    /* Messages that were handed over (handover.h) to consumers that need not acknowledge, and to those that must:
     * counted, but not in counted.own. */
    uint64_t handed, handed_out;
    struct tally *tally; /* borrowed: of its type in its virtual host */
    struct list ring;    /* consumers that may be given something: by priority, and the next in turn first */
    struct link dirty;   /* on broker->dirty */

    /* What every other message does. */
    struct vhost *vhost;           /* borrowed */
    struct queue_spec *spec;       /* owned: as it was declared */
    struct log *log;               /* owned: of a stream, whose messages are there, ready all of them; else NULL */
    struct groups *groups;         /* owned; NULL: a message's group means nothing */
    struct dedup *dedup;           /* owned; NULL: it takes duplicates */
    uint64_t ready_bytes;          /* of the bodies of what is ready */
    uint64_t out_count, out_bytes; /* bytes: of the bodies of what is out */
    uint64_t stored_count, stored_bytes; /* of entries, and what is in the pile, that there are records of */
    uint64_t id;                         /* never used again */
    struct counted counted;
    struct list out; /* OUT entries, in the order in which they went */
    struct ready ready;
    struct cold cold;                    /* what is ready, but not in memory */
    struct expiring expiring;            /* what expires out of order (expiring.h) */
    const struct queue_options *options; /* in force: the spec's, or, with policies, own_options */
    struct queue_options *own_options;   /* owned; NULL: none */

    struct bytes name;            /* in spec */
    struct map_node in_vhost;     /* in vhost->queues; of a reply address (reply.h) in vhost->replies */
    struct map_node in_ids;       /* in broker->queues_by_id */
    struct policy_pair *policies; /* shared: what applies; NULL: nothing */
    struct outlet *owner;         /* borrowed: of an exclusive queue; NULL: none */
    struct link in_owner;         /* on owner->exclusive_queues */
    struct list bindings;         /* of which it is the destination */
    uint64_t stamp;               /* of the last walk that named it */
    struct heap waiting;          /* WAITING entries, by when they are ready again (retry.h) */
    uint64_t pins;                /* who will still ask for it: entries on broker->deaths, routes that are held */
    uint64_t defined;             /* position of its DEFINE; 0: none since the start */
    struct delayed *delayed;      /* owned: of a hidden queue of a delaying exchange (delayed.h); else NULL */
    struct list parked;           /* GETs that wait for what is cold (parked.h) */

    struct list consumers;               /* all, oldest first */
    struct consumer *exclusive_consumer; /* borrowed; NULL: none */
    struct consumer *active;             /* borrowed: the single active one; NULL: none, or all are */
    struct consumer *retiring;           /* borrowed: who was it, and has not settled all; NULL: nobody */

    struct queue *letters;    /* owned: its dead letters that wait (letters.h); NULL: none yet */
    struct queue *letters_of; /* borrowed: whose these are; NULL: this is an ordinary queue */
    struct link in_letters;   /* of a box: on broker->letters.boxes */
    uint64_t waits_for;       /* of a box: the number of the queue that refused its first letter, 0: none */

    struct wakeup expiry;  /* of its head, or of what is in expiring: fires no later than that is due; of a box: when to
                              try again */
    struct wakeup lease;   /* x-expires */
    struct wakeup overdue; /* consumer timeout: fires no later than the first of those that are out is due */
    struct wakeup retry;   /* the first of those that wait is ready again */
    uint64_t unused_since;
    struct utilisation utilisation;
    struct pace pace; /* x-max-publish-rate */
};

/* A new queue, known to the vhost.  The spec is copied.  owner: of an exclusive queue, or NULL.  Nothing is recorded.
 */
struct queue *queue_create(struct broker *b, struct vhost *v, const struct spec *spec, struct outlet *owner,
                           uint64_t id);

/* So many bytes of bodies are ready, or not any more: in it, and in its virtual host, for its limit and its totals. */
static inline void queue_add_bytes(struct queue *q, uint64_t bytes)
{
    q->ready_bytes += bytes;
    q->tally->ready_bytes += bytes;
    q->vhost->queue_bytes += bytes;
}

static inline void queue_take_bytes(struct queue *q, uint64_t bytes)
{
    q->ready_bytes -= bytes;
    q->tally->ready_bytes -= bytes;
    q->vhost->queue_bytes -= bytes;
}

/* There is a record of a message in its memory, or that message goes. */
static inline void queue_count_stored(struct queue *q, const struct message *msg)
{
    q->stored_count++;
    q->stored_bytes += msg->body_size;
}

static inline void queue_uncount_stored(struct queue *q, const struct message *msg)
{
    q->stored_count--;
    q->stored_bytes -= msg->body_size;
}

/* Has it nothing that could keep a message from the next consumer who can take one?  An ordinary queue that takes
 * whatever comes, in its order. */
bool queue_is_plain(const struct queue *q);

/* Something that queue_is_plain() asks for may have changed. */
static inline void queue_judge(struct queue *q)
{
    q->is_plain = queue_is_plain(q);
}

/* Nobody is given anything from now on, or is again. */
void queue_set_paused(struct broker *b, struct queue *q, bool is_paused);

struct queue *queue_find_by_id(const struct broker *b, uint64_t id);

/* Removes it: consumers are cancelled, messages dropped (those that are out too), bindings deleted. */
void queue_delete(struct broker *b, struct queue *q);

/* Puts a message in, or through to a consumer that waits.  Takes the reference.  False: the queue is full and refuses.
 * The message is the one that remember_begin() was told of. */
bool queue_publish(struct broker *b, struct queue *q, struct message *msg);

/* The next message, overdue or not; NULL: there is none in memory. */
static inline struct entry *queue_head(const struct queue *q)
{
    if (q->ready.levels != NULL && q->cold.count > 0)
        return NULL; /* a higher priority may be among them */
    return ready_head(&q->ready);
}

/* When the message, which is in that queue or comes into it, has to go; ENTRY_NEVER. */
uint64_t queue_reckon_deadline(const struct queue *q, const struct message *msg);

static inline uint64_t queue_deadline(const struct queue *q, const struct message *msg)
{
    bool has_none = q->options->message_ttl_ms == SPEC_NONE && message_rare(msg) == NULL;
    return has_none ? ENTRY_NEVER : queue_reckon_deadline(q, msg);
}

/* How long that is from now, for its record. */
static inline uint64_t queue_ttl_left(const struct broker *b, uint64_t deadline)
{
    return deadline == ENTRY_NEVER ? PLACE_NO_TTL : deadline - b->now.ms;
}

/* Would it take the message, and push no other out for it? */
bool queue_has_room(const struct queue *q, const struct message *msg);

/* Is it longer than it may be? */
bool queue_is_over(const struct queue *q);

/* Dead-letters what is overdue, as far as the step may.  Is there a head that somebody may have? */
bool queue_has_head(struct broker *b, struct queue *q);

/* There is a head, but it has to go, or what comes back is to be before it: a later step goes on with that. */
bool queue_is_clearing(const struct broker *b, const struct queue *q);

/* Takes the head out of the queue, what is overdue dead-lettered first; NULL if there is none.  The entry is on no
 * list. */
struct entry *queue_take(struct broker *b, struct queue *q);

/* Takes one that is ready out of the queue, wherever it stands.  The entry is on no list. */
void queue_take_out(struct broker *b, struct queue *q, struct entry *e);

/* Dead-letters what is overdue, up to EXPIRED_PER_STEP in all queues together. */
void queue_expire(struct broker *b, struct queue *q);

/* An entry that is on no list is to be dead-lettered; without a dead-letter exchange it is dropped. */
void queue_die(struct broker *b, struct entry *e, enum death death);

/* The message, whose reference it takes, goes to the consumer, who can take it, and must acknowledge it: as it comes,
 * without having been ready.  Nothing is traced. */
void queue_hand_out(struct broker *b, struct queue *q, struct consumer *c, struct message *msg);

/* An entry goes out: to a consumer, or (consumer NULL) to GET on that stream. */
ticket queue_send_out(struct broker *b, struct entry *e, struct consumer *c, struct stream *s);

/* An entry that is out comes to its end. */
void queue_settle(struct broker *b, struct entry *e, enum outcome outcome);

/* An entry that was cold, and is on no list, has expired. */
void queue_expire_cold(struct broker *b, struct queue *q, struct entry *e);

/* An entry that has waited is ready, at its old place. */
void queue_readmit(struct broker *b, struct queue *q, struct entry *e);

/* Drops what is ready, and what waits to be so again; answers how many. */
uint64_t queue_purge(struct broker *b, struct queue *q);

/* Its lease starts with the first step, whenever that is. */
void queue_begin_lease_later(struct queue *q);

/* Somebody used the queue: its lease starts anew. */
void queue_touch(struct broker *b, struct queue *q);

/* The consumer is on the queue's list from now on; or is not any more, which may be the end of an auto-delete queue. */
void queue_add_consumer(struct broker *b, struct queue *q, struct consumer *c);
void queue_remove_consumer(struct broker *b, struct queue *q, struct consumer *c);

/* The queue wants looking after before the command is over. */
void queue_mark_dirty(struct broker *b, struct queue *q);

/* What a delivery says besides the message; 0: nothing.  How often it was given back before, if the queue tells that.
 */
uint64_t queue_told_returns(const struct queue *q, const struct entry *e);

/* Looks after all that are dirty: expires, dispatches, keeps the limits, deletes what is to be auto-deleted. */
void queue_clean_dirty(struct broker *b);

/* Somebody will still ask for it, though it may be deleted meanwhile; and does not any more. */
void queue_pin(struct queue *q);
void queue_bury(struct broker *b, struct queue *q);

/* Some of what is in the pile (ready.h) are entries from now on: false: there was nothing.  All of it. */
bool queue_thaw(struct broker *b, struct queue *q);
void queue_thaw_all(struct broker *b, struct queue *q);

/* An entry that is on no list is ready, behind all others that are in memory. */
void queue_append(struct broker *b, struct queue *q, struct entry *e);

/* "queue 'q' in vhost '/'"; on the heap. */
char *queue_describe(const struct queue *q);

/* Dies if its counts and lists do not agree. */
void queue_check(const struct broker *b, const struct queue *q);
#endif
