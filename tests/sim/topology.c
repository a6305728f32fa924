#include "tests/sim/topology.h"

#include <string.h>

void topology_init(struct topology *t, struct rng *r)
{
    *t = (struct topology){
        .queues =
            {
                [Q_PLAIN] = {.name = "plain"},
                [Q_TWIN] = {.name = "twin"},
                [Q_LETTERS] = {.name = "letters", .letters_exchange = "graves", .dead_to = Q_GRAVE},
                [Q_SHORT] = {.name = "short", .max_length = 1 + rng_below(r, 8)},
                [Q_SHORT_LETTERS] = {.name = "short-letters",
                                     .letters_exchange = "graves",
                                     .dead_to = Q_GRAVE,
                                     .max_length = 1 + rng_below(r, 8)},
                [Q_FULL] = {.name = "full", .max_length = 1 + rng_below(r, 8), .refuses = true},
                [Q_TTL] =
                    {.name = "ttl", .letters_exchange = "graves", .dead_to = Q_GRAVE, .ttl_ms = 20 + rng_below(r, 500)},
                [Q_FADING] = {.name = "fading", .ttl_ms = 20 + rng_below(r, 500)},
                [Q_WORK] = {.name = "work", .letters_exchange = "", .letters_key = "retry", .dead_to = Q_RETRY},
                [Q_RETRY] = {.name = "retry",
                             .letters_exchange = "",
                             .letters_key = "work",
                             .dead_to = Q_WORK,
                             .ttl_ms = 1 + rng_below(r, 60)},
                [Q_PRIOR] = {.name = "prior", .max_priority = (uint8_t)(1 + rng_below(r, 4))},
                [Q_SINGLE] = {.name = "single", .is_single = true},
                [Q_LIMITED] = {.name = "limited",
                               .letters_exchange = "graves",
                               .dead_to = Q_GRAVE,
                               .is_quorum = rng_one_in(r, 2),
                               .has_return_limit = true,
                               .return_limit = rng_below(r, 4)},
                [Q_LATE] = {.name = "late"},
                [Q_GRAVE] = {.name = "grave"},
                [Q_PASSING] = {.name = "passing", .is_passing = true},
                [Q_LOG] = {.name = "log",
                           .is_stream = true,
                           .segment_bytes = 1 + rng_below(r, 800),
                           .keep_bytes = rng_one_in(r, 3) ? 300 + rng_below(r, 1500) : 0},
            },
    };
    for (unsigned i = 0; i < QUEUE_COUNT; i++) {
        struct sim_queue *q = &t->queues[i];
        q->is_durable = !q->is_passing;
        if (q->letters_exchange == NULL)
            q->dead_to = NO_QUEUE;
        else
            q->must_arrive = q->max_length == 0 && rng_one_in(r, 2);
    }
}

uint8_t topology_find(const struct topology *t, const void *name, unsigned long len)
{
    for (uint8_t i = 0; i < QUEUE_COUNT; i++)
        if (strlen(t->queues[i].name) == len && memcmp(t->queues[i].name, name, len) == 0)
            return i;
    return NO_QUEUE;
}
