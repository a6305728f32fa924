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

/* Only PAIR_WINDOW messages of a queue are in memory, and loads are asked for when fewer than two are. */
enum { PAIR_WINDOW = 4 };
extern const struct broker_config pair_narrow;

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

/* ---- Shorthands about a queue q of numbered messages. */

void pair_publish_as(struct pair *p, const char *exchange, const char *key, unsigned number, uint8_t flags);
void pair_publish(struct pair *p, unsigned from, unsigned to); /* to q, persistent */
uint32_t pair_count(struct pair *p);
void pair_purge(struct pair *p);
void pair_delete_queue(struct pair *p);

/* Fetches one, without acknowledgement; … the next event is the answer. */
void pair_get(struct pair *p, unsigned client);
void pair_expect_got(struct pair *p, unsigned client, unsigned number);

/* Fetches those that are in memory, from number 0 on, so that a load is asked for, but not yet answered. */
void pair_drain(struct pair *p, unsigned n);

/* The next event is a delivery of that number; … is that. */
ticket pair_expect_number(struct pair *p, unsigned number, bool redelivered);
void pair_expect_what(struct pair *p, enum happening what);
#endif
