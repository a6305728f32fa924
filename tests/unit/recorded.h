/* A pair whose every command is held to the records that it leaves (broker/port/record.h). */
#ifndef TESTS_UNIT_RECORDED_H
#define TESTS_UNIT_RECORDED_H

#include "tests/unit/pair.h"

void recorded_begin(struct pair *p);

/* Declares a durable queue; or two (b may be NULL), of which the store has heard then, and the events are forgotten. */
void recorded_queue(struct pair *p, const char *name, struct queue_options o);
void recorded_queues(struct pair *p, const char *a, const char *b);
struct queue_options recorded_dead_lettered(const char *key); /* by the default exchange */

struct message *recorded_message(const char *exchange, const char *key, const char *body, bool persistent);
void recorded_publish(struct pair *p, const char *exchange, const char *key);

/* Publishes and answers the event that says what became of it. */
struct event *recorded_publish_confirmed(struct pair *p, const char *exchange, const char *key);

/* Says it, and gives the answer. */
struct event *recorded_say(struct pair *p, struct command c, unsigned client);
struct event *recorded_say_spec(struct pair *p, enum verb verb, unsigned client, struct spec s);

/* Of the next message that somebody gets. */
ticket recorded_next_ticket(struct pair *p);

/* A transaction of copies of these commands. */
struct tx *recorded_tx_of(struct command *c, size_t n);

/* Publishes a message, has a consumer deal with it so, and says whether it is settled for good then (adr/0014). */
bool recorded_is_settled_when(struct pair *p, const char *exchange, enum outcome outcome);
#endif
