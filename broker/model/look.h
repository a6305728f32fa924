/* Where a message would go: a walk over exchanges and bindings like that of a publish (route.h), by the same functions
 * of the same exchange kinds, which changes nothing that a later message would notice: nothing is kept, remembered,
 * delayed or drawn by lot.
 *
 * What is left to chance is followed in all its outcomes, last: what is reached that way alone is not certain.  An
 * exchange that would delay the message is looked through, as if its time had come.
 */
#ifndef BROKER_MODEL_LOOK_H
#define BROKER_MODEL_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/model/route.h"

struct broker;
struct exchange;
struct message;
struct queue;

enum { LOOK_KEYS_MAX = 64 /* routing keys of one message that are told apart; later ones are matched, not named */ };

/* An exchange on the way, or a queue at its end. */
struct look_place {
    bool is_certain;
    bool is_alternate; /* of an exchange: it comes in place of the one before it */
    uint64_t after_ms; /* … that it is reached */
};

/* What an exchange made of the message. */
struct look_step {
    struct exchange *exchange; /* borrowed */
    struct look_place place;
    uint64_t delay_ms; /* which it adds */
    bool is_duplicate; /* it knows the message, which goes no further */
    bool is_by_chance; /* one of its bindings, at random */
    uint64_t matches;
};

struct look;
/* A binding of the exchange that is being looked at matches; key: the routing key that did it. */
typedef void look_match_fn(struct look *l, const struct binding *bd, struct bytes key);
/* The exchange has been looked at. */
typedef void look_step_fn(struct look *l, const struct look_step *s);

struct look {
    struct broker *b;    /* borrowed */
    struct message *msg; /* borrowed */
    look_match_fn *on_match;
    look_step_fn *on_step; /* both may be NULL */
    void *arg;

    /* The answer: queues are b->route.queues[i], and places[i] is the i-th one's.  Valid until the next walk. */
    size_t n;
    struct look_place *places; /* owned */

    /* Its own. */
    struct route_watch watch;
    struct look_step *steps; /* owned: one for each of b->route.walk */
    size_t places_room, steps_room, n_steps, n_places;
    size_t at;
    bool is_certain;
    struct bytes key;
};

void look_init(struct look *l, struct broker *b);
void look_fini(struct look *l);

/* Walks from x, with a message that is published to it now.  Costs what the publish would cost. */
void look_walk(struct look *l, struct exchange *x, struct message *msg);

/* Is it one of those that pick at random? */
bool look_is_by_chance(const struct exchange *x);
#endif
