/* Rates: how fast a user, a virtual host or a queue may be published to.
 *
 * A rate is a bucket of tokens that fills by so many a second and holds what comes in PACE_BURST_MS.  A publish takes
 * its tokens whether they are there or not; a bucket that is in debt makes whoever has published wait until the debt is
 * paid: the client is told nothing, its connection is not read meanwhile (event SLOWED).  What was under way already
 * goes through, and is paid for by a longer pause; after it the client's session takes in no more than it may, and asks
 * again (command PACE), until the bucket is full.
 */
#ifndef BROKER_MODEL_PACE_H
#define BROKER_MODEL_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/model/wakeup.h"

struct broker;
struct message;
struct outlet;
struct queue;

enum {
    PACE_BURST_MS = 1000,
    PACE_ALLOWED_MAX = 4096, /* publishes before one who was slowed asks again */
};

#define PACE_NONE UINT64_MAX             /* no such limit */
#define PACE_MAX (UINT64_C(1) << 40)     /* a second: more is as much as this */
#define PACE_DEBT_MAX (INT64_C(1) << 60) /* thousandths of tokens: more is forgotten */

struct bucket {
    uint64_t per_s; /* PACE_NONE: there is none; 0 counts as 1 */
    int64_t level;  /* thousandths of tokens, as of … */
    uint64_t at_ms;
};

/* Of a user, of a virtual host, of a queue. */
struct pace {
    struct bucket messages, bytes; /* bytes: of bodies */
};

/* Of an outlet. */
struct slowness {
    struct wakeup end;     /* when it may publish again … */
    bool is_slowed;        /* … which it may not now */
    uint64_t queues_until; /* when the queues that it published to are owed nothing */
    uint64_t queues_hold;  /* how many more those of its last publish take; PACE_NONE */
    uint64_t last_bytes;   /* of its last publish */
};

void pace_init(struct pace *p);

/* These are its rates from now on.  A bucket whose rate is new is full. */
void pace_set(struct broker *b, struct pace *p, uint64_t messages_per_s, uint64_t bytes_per_s);
void pace_fini(struct broker *b, struct pace *p);

static inline bool pace_is_set(const struct pace *p)
{
    return p->messages.per_s != PACE_NONE || p->bytes.per_s != PACE_NONE;
}

/* How long until nothing is owed. */
uint64_t pace_wait_ms(struct pace *p, uint64_t now_ms);

/* The outlet has published the message, which went to these queues: only if broker->paces > 0. */
void pace_publish(struct broker *b, struct outlet *o, const struct message *msg, struct queue *const *queues, size_t n);

/* It asks whether it may publish more. */
void pace_answer(struct broker *b, struct outlet *o);

/* An outlet's time to look again has come. */
void pace_on_wakeup(struct broker *b, struct wakeup *t);

/* Rates of a user or of a virtual host have changed: whoever waits looks again how long. */
void pace_look_again(struct broker *b);
#endif
