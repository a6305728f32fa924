/* A world that is asked what it has counted, by rows of INSPECT, and what makes it count. */
#ifndef TESTS_UNIT_TALLY_H
#define TESTS_UNIT_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/inspection.h"
#include "broker/port/queue_options.h"
#include "broker/port/sample.h"
#include "tests/unit/world.h"

/* ---- Asking.  It forgets all events that were not read. */

struct event *tally_ask(struct world *w, struct command c);

/* The row of that name in a list of the virtual host, or the row of totals, or the first of a connection's channels. */
struct inspection *tally_inspect(struct world *w, enum inspection_kind what, const char *name);

/* A number of a table of the first row; table NULL: of the row itself.  0: it is not there. */
uint64_t tally_number_in(const struct inspection *i, const char *table, const char *key);
uint64_t tally_number(struct world *w, enum inspection_kind what, const char *name, const char *table, const char *key);

uint64_t tally_queue(struct world *w, const char *queue, enum sample_counter counter);
uint64_t tally_exchange(struct world *w, const char *exchange, enum sample_counter counter);
uint64_t tally_total(struct world *w, const char *key);
uint64_t tally_type(struct world *w, const char *type, const char *key); /* of a type of queues */
uint64_t tally_channels(struct world *w, enum sample_counter counter);   /* of all channels together */

/* ---- Doing, as client 0 on its stream 0 where none is named. */

struct tally_publish {
    const char *exchange, *key;
    size_t size;
    bool mandatory, confirm, persistent;
};
void tally_publish_from(struct world *w, unsigned stream, struct tally_publish p);
void tally_publish(struct world *w, struct tally_publish p, unsigned times);
void tally_get(struct world *w, const char *queue, bool no_ack);
void tally_declare(struct world *w, const char *name, struct queue_options o);
void tally_delete_queue(struct world *w, const char *name);

/* Of the last event, which is a message. */
ticket tally_last_ticket(const struct world *w);
#endif
