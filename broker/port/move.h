/* What an administrator wants moved (the command MOVE): messages that are ready in one queue, to another one, to an
 * exchange, or each back to the queue that it died in.
 *
 * A command moves a few and says where to go on, so that the broker is never held up; each message goes by one record
 * that settles its old place and fills the new one, so that it is in one of them whatever happens.  Whoever repeats the
 * command from its own answer, until that says `is_over`, has moved what was there when the first was carried out, and
 * nothing that came later: a message that comes back at once is not moved in circles.
 */
#ifndef BROKER_PORT_MOVE_H
#define BROKER_PORT_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    MOVES_MAX = 256,          /* messages that one command moves */
    MOVE_PLACES_MAX = 4096,   /* places in queues that it fills, and those of one message more */
    MOVE_MATCH_BYTES = 4096,  /* of a body that are looked through */
    MOVE_KEPT_MAX = 64 << 10, /* that may stay in memory before what is behind them is looked at */
};

enum move_to {
    MOVE_TO_QUEUE,           /* `key` is its name: by the default exchange */
    MOVE_TO_EXCHANGE,        /* with `key` as routing key; without (at NULL) with the message's own */
    MOVE_TO_ORIGIN,          /* into the queue that the newest entry of x-death names, with the exchange and routing key
                                that it had there; what has no such entry, or no such queue, stays */
    MOVE_TO_NOTHING,         /* they are deleted */
    MOVE_TO_ORIGIN_EXCHANGE, /* published again to that exchange with those routing keys; what has no such entry, or
                                would go nowhere, stays */
};

struct move {
    enum move_to to;
    struct bytes vhost, queue;   /* from where; in data */
    struct bytes exchange, key;  /* where to; in data */
    struct bytes user;           /* who asks, in data: needs to read the queue, and to write to the exchange that the
                                    messages go to as if it published them; at NULL: the machine's administrator */
    struct bytes match_key;      /* in data, likewise: only those whose routing key is this (at NULL: any), … */
    struct bytes match_headers;  /* … whose headers have these values (a field table; empty: any), … */
    struct bytes match_body;     /* … whose body has this in it, within MOVE_MATCH_BYTES; the others are kept */
    bool is_rehearsal;           /* they are counted, and stay */
    bool drops_history;          /* x-death, x-first-death-… and x-last-death-… are taken out */
    uint32_t limit;              /* at most so many; 0, or more than MOVES_MAX: MOVES_MAX */
    uint64_t position, end;      /* 0 at first; then what the last answer says */
    uint64_t moved, bytes, kept; /* the answer: so many, of so many bytes of body; and looked at, but left there */
    bool is_over;                /* all has been looked at, or it has stopped */
    bool is_waiting;             /* what comes next has been sent for: ask again in a moment */
    char *stopped;               /* owned: why it does not go on, though it is not done; NULL: nothing is wrong */
    uint8_t data[];
};

/* With copies of the names.  The caller owns it. */
struct move *move_create(const struct move *from);
void move_destroy(struct move *m); /* NULL is allowed */
#endif
