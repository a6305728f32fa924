/* A model and a few clients, for tests: says commands in a line each and reads the events that follow. */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/model/broker.h"
#include "broker/port/spec.h"
#include "tests/unit/abacus.h"

struct world {
    struct broker *broker;
    struct effects effects; /* since world_forget() */
    struct instant now;
    uint64_t cookie;
    size_t read; /* events that world_next() has answered */
    struct abacus abacus;
};

void world_init(struct world *w);
void world_init_with(struct world *w, const struct broker_config *config); /* it lacks but the names */
void world_fini(struct world *w);                                          /* checks the model's invariants first */

/* Carries out one command of client's stream; checks the model's invariants.  Answers its cookie. */
uint64_t world_do(struct world *w, struct command c, unsigned client, unsigned stream);

/* Moves the clock and lets what is due happen. */
void world_wait(struct world *w, uint64_t ms);

/* The next event that was not read yet, or NULL. */
struct event *world_next(struct world *w);

/* Forgets all events, read or not; records stay. */
void world_forget(struct world *w);

/* Shorthands; each forgets nothing and checks nothing but that the answer is DONE. */
void world_attach(struct world *w, unsigned client);
void world_detach(struct world *w, unsigned client);
void world_queue(struct world *w, unsigned client, const char *name, const struct spec *options);
void world_exchange(struct world *w, const char *name, const char *type);
void world_bind(struct world *w, const char *queue, const char *exchange, const char *key);
void world_publish(struct world *w, const char *exchange, const char *key, const char *body);
void world_consume(struct world *w, unsigned client, const char *queue, unsigned consumer, unsigned limit, bool no_ack);
void world_settle(struct world *w, unsigned client, ticket t, enum outcome outcome);

/* Reads the next event, which must be a delivery of this body. */
ticket world_expect_delivery(struct world *w, unsigned consumer, const char *body, bool redelivered);
void world_expect_nothing(struct world *w);

/* Reads events up to the answer to the last command, and gives its counts. */
uint32_t world_count(struct world *w, const char *queue);

/* Fetches one message without acknowledgement; the caller unrefs it.  NULL: empty. */
struct message *world_get(struct world *w, const char *queue);
#endif
