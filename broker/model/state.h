/* What the model's modules share: the broker itself, and the small services that all of them use.  Private to
 * broker/model/. */
#ifndef BROKER_MODEL_STATE_H
#define BROKER_MODEL_STATE_H

#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "broker/model/broker.h"
#include "broker/model/cold.h"
#include "broker/model/dedup.h"
#include "broker/model/entry.h"
#include "broker/model/letters.h"
#include "broker/model/log_state.h"
#include "broker/model/observer.h"
#include "broker/model/peek.h"
#include "broker/model/pile.h"
#include "broker/model/route.h"
#include "broker/model/statistics_state.h"
#include "broker/model/wakeup.h"

struct exchange;
struct stream;
struct user;

enum {
    DEATHS_PER_STEP = 1024,    /* dead letters that one step moves; the rest waits for the next */
    EXPIRED_PER_STEP = 8192,   /* messages that one step expires, or drops for a queue's limit, besides as many as came:
                                  however many queues fill, none falls behind */
    ENDS_PER_STEP = 8192,      /* of what clients had that have gone: messages that come back, streams, queues */
    REFRESHES_PER_STEP = 1024, /* exchanges and queues that one step holds to policies that have changed, about */
    ALARM_GAP = 16,            /* the memory alarm clears this part of its limit below it … */
    ALARM_MS = 1000,           /* … and not sooner */
};

/* The message that is being put into queues: its record, if it gets one (remember.h). */
struct publishing {
    struct message *msg;        /* borrowed */
    const struct entry *source; /* borrowed: what it is the dead letter of, if that is stored; NULL: nothing */
    size_t record;              /* its index in the sheaf, and … */
    uint64_t position;          /* … its position, if … */
    bool is_open;               /* … there is one */
    uint64_t after;             /* what its confirm waits for; 0: nothing */
};

struct broker {
    struct instant now;       /* of this step */
    struct effects *effects;  /* of this step; borrowed */
    char *node;               /* owned: what we are called */
    char *event_vhost;        /* owned: where the event exchange is; NULL: nowhere */
    struct exchange *notices; /* borrowed: that exchange, if there is that virtual host (notice.h) */
    const struct user *actor; /* borrowed: whose command this is; NULL: nobody's, or an administrator's */
    uint64_t hash_seed;
    uint64_t memory_high;

    bool expires_at_head, delays_anywhere, takes_detours; /* as configured */
    bool records, is_in_tx, is_shut_down;
    uint64_t position; /* records so far */
    uint64_t changed;  /* what the answer of this command waits for */
    uint64_t tx_began; /* position when the transaction's first command began */
    struct publishing publishing;
    struct cold_state cold;
    struct letters_state letters;
    struct peeks peeks;
    struct observers observers;
    struct log_state logs;

    struct map vhosts;          /* by name; owned */
    struct map users;           /* by name; owned */
    struct user *machine;       /* owned: who its administrator is as a client, without a name; NULL until it is one */
    struct map parameters;      /* owned */
    struct list vhost_defaults; /* what new virtual hosts get (vhost.c); owned */
    uint64_t last_serial;       /* of a user */
    uint64_t connections_max;
    uint64_t consumer_timeout_ms; /* SPEC_NONE: none */
    bool ignores_client_deaths;
    uint64_t delivery_limit;                                    /* of quorum queues that do not say */
    uint8_t default_queue_type;                                 /* enum queue_type */
    bool strict_queue_types, relaxed_redeclare, relaxed_quorum; /* broker.h */
    struct map queues_by_id;                                    /* all queues */
    uint64_t next_queue_id;
    struct outlet **outlets; /* by slot; owned; NULL where there is none */
    size_t outlet_count;     /* slots in outlets[] */
    struct slots tickets;    /* of entries that are out */
    struct entry_pool entries;
    struct pile discarded; /* dropped, and not given back yet (discard.h) */
    struct heap wakeups;

    struct list deaths;  /* entries on their way to a dead-letter exchange, the next first */
    struct list fresh;   /* those that died since the last was moved (deadletter.h) */
    struct list dirty;   /* queues with something to look after before the command is over */
    struct list leaving; /* clients that have gone, and still have something (broker.c); owned */
    struct list resumed; /* streams with commands that need not wait any more */
    struct list posts;   /* what the broker itself publishes, still to be routed (post.h) */
    struct list stale;   /* virtual hosts whose policies have changed */
    struct list doomed;  /* exchanges that have lost their last binding and are to go */

    uint64_t
        topology_version; /* goes up with every change that routes may depend on, and with every round of samples */
    uint64_t stamp;       /* of the last walk over exchanges and queues */
    struct route route;   /* used again for every message */

    size_t confirming;          /* of this step: which event was the last to answer for publishes; or none */
    unsigned deaths_left;       /* dead letters that this step may still move */
    unsigned ends_left;         /* of what clients had, that it may still end */
    unsigned removals_left;     /* messages that it may still expire or drop: EXPIRED_PER_STEP, one more for each that
                                   came to a queue in it, or in the step before (arrivals) */
    unsigned arrivals;          /* messages that came to queues in it, and stay there */
    unsigned refreshes_left;    /* objects, or buckets of them, that it may still hold to changed policies */
    unsigned alarms;            /* ALARM_MEMORY alone */
    unsigned alarms_outside;    /* what broker_set_alarm() said */
    uint64_t bytes_outside;     /* of messages, that others hold */
    uint64_t history_bytes;     /* message_cost() of what exchanges keep (route_recent.h) */
    uint64_t random;            /* state of broker_random() */
    unsigned alarms_told;       /* all of them, as the last effects say */
    uint64_t alarm_ms;          /* when the memory alarm last changed */
    struct wakeup alarm_wakeup; /* when they may clear */
    struct dedup_state dedup;
    uint64_t groups_bytes; /* of memory that queues with message groups take for them */
    uint64_t paces;        /* users, virtual hosts and queues that have a rate (pace.h) */
    struct broker_totals totals;
    struct statistics_state statistics;
};

/* Does anybody observe what happens to messages? */
static inline bool observer_is_on(const struct broker *b)
{
    return b->observers.n > 0;
}

/* A number below n, which is not 0: for turns that are left to chance, not for secrets.  It depends on the seed and on
 * how many were drawn before. */
uint64_t broker_random(struct broker *b, uint64_t n);

void effects_grow(struct effects *e);

/* Room for another event, which is not zeroed. */
static inline struct event *effects_add(struct effects *e)
{
    if (e->n == e->capacity)
        effects_grow(e);
    return &e->events[e->n++];
}

/* Another event for a client; the caller fills in the rest.  The origin is copied member by member: as a whole it would
 * be read in pieces that do not fit those it was written in, which stalls the processor on every message. */
static inline struct event *broker_tell(struct broker *b, enum happening what, struct origin to)
{
    struct event *e = effects_add(b->effects);
    *e = (struct event){.what = what};
    e->to.outlet.slot = to.outlet.slot;
    e->to.outlet.generation = to.outlet.generation;
    e->to.stream = to.stream;
    return e;
}

/* The message is held in memory for another reason than an entry: takes the reference, and counts its memory.  And
 * gives it back. */
static inline void entry_hold(struct broker *b, struct message *msg)
{
    if (msg->entries++ == 0)
        b->totals.message_bytes += message_cost(msg);
}

static inline void entry_release(struct broker *b, struct message *msg)
{
    CHECK(msg->entries > 0);
    if (--msg->entries == 0)
        b->totals.message_bytes -= message_cost(msg);
    message_unref(msg);
}

/* In two halves: all of it at once would be one instruction that takes longer to begin than all else takes here. */
static inline void entry_clear(struct entry *e)
{
    enum { HALF = offsetof(struct entry, position) };
    memset(e, 0, HALF);
    memset((uint8_t *)e + HALF, 0, sizeof *e - HALF);
}

/* A new entry that holds msg, whose reference it takes, on no list yet.  Counts the message's memory. */
static inline struct entry *entry_create(struct broker *b, struct queue *q, struct message *msg)
{
    struct entry_pool *p = &b->entries;
    if (p->free == NULL)
        entry_pool_extend(p);
    struct entry *e = p->free;
    p->free = (struct entry *)(void *)e->msg;
    entry_clear(e);
    e->msg = msg;
    e->queue = q;
    e->expires_at = ENTRY_NEVER;
    link_init(&e->in_queue);
    b->totals.message_bytes += sizeof *e;
    entry_hold(b, msg);
    return e;
}

/* Its queue holds one less that there is a record of. */
void entry_forget_record(const struct entry *e);

/* Gives the entry, and its hold on the message, back.  It must be on no list, and its queue know no key of it. */
static inline void entry_discard(struct broker *b, struct entry *e)
{
    CHECK(!link_is_linked(&e->in_queue));
    b->totals.message_bytes -= sizeof *e;
    if (e->stored)
        entry_forget_record(e);
    entry_release(b, e->msg);
    entry_pool_give(&b->entries, e);
}

/* The same, whatever its queue knows. */
void entry_destroy(struct broker *b, struct entry *e);

/* The answer to a command, which waits for what the command has changed.  done: takes the spec, NULL if there is none;
 * answers the event, so that the caller can add to it.  fail: takes the text, and poisons the stream. */
struct event *broker_done(struct broker *b, const struct command *c, struct spec *spec);
void broker_fail(struct broker *b, const struct command *c, enum reason reason, char *text);

/* Does at once what the command has left to be done when it is over: for those whose answer must come after it. */
void broker_finish(struct broker *b);
#endif
