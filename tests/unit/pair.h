/* A world with a store: what the model wants remembered is kept, what it asks for is loaded, and another broker begins
 * with what was kept (world.h, keepsake.h). */
#ifndef TESTS_UNIT_PAIR_H
#define TESTS_UNIT_PAIR_H

#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "tests/unit/keepsake.h"
#include "tests/unit/world.h"

struct pair {
    struct world w;
    struct keepsake k;
    struct broker_config config; /* for the next broker, too */
};

void pair_init(struct pair *p, const struct broker_config *config);
void pair_fini(struct pair *p); /* when all loads are answered */

/* The store gets what was recorded meanwhile. */
void pair_take(struct pair *p);

/* … and answers one load, or all; how many. */
bool pair_serve_one(struct pair *p);
unsigned pair_serve(struct pair *p);

/* The broker ends without a warning, and another one begins with what was kept, at the same time.  Nobody is there. */
void pair_crash(struct pair *p);

/* A durable queue, which the store has heard of; the events are forgotten. */
void pair_queue(struct pair *p, const char *name, struct queue_options o);

/* A message whose body is this number; it has no properties. */
void pair_publish_like(struct pair *p, struct message_spec like, unsigned number);
unsigned pair_number(const struct message *m);

/* What was recorded since the store took something, in keepsake_spell()'s words; the store takes it. */
void pair_expect_records(struct pair *p, const char *expected);
#endif
