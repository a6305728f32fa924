/* A stream s (broker/model/log.h), its store, and clients who read it. */
#ifndef TESTS_UNIT_LOGBOOK_H
#define TESTS_UNIT_LOGBOOK_H

#include "broker/port/queue_options.h"
#include "tests/unit/pair.h"

struct pen;
struct queue;

enum {
    LOGBOOK_WINDOW = 4 /* messages in memory */,
    LOGBOOK_CLIENTS = 4,
    LOGBOOK_BODY = 100 /* bytes of a message's */
};

struct logbook {
    struct pair pair;
    struct queue_options options; /* that the stream is declared with; a test may change them before */
};

/* With clients 0 to LOGBOOK_CLIENTS - 1, and without the stream; for pair_fini(). */
void logbook_init(struct logbook *book);
void logbook_init_with(struct logbook *book, const struct broker_config *config);

/* With arguments that say the same as the options: these are what a restart reads. */
void logbook_declare(struct logbook *book);
const struct queue *logbook_stream(const struct logbook *book);
struct broker_totals logbook_totals(const struct logbook *book);

/* What was kept is in another broker, a minute later. */
void logbook_restart(struct logbook *book);

/* A body that begins with its number; with a header x-stream-filter-value, or none. */
void logbook_publish_with(struct logbook *book, unsigned number, const char *filter, uint8_t flags, bool hold);
void logbook_publish(struct logbook *book, unsigned from, unsigned to); /* and the store has them */

/* Each client has one consumer. */
void logbook_consume(struct logbook *book, unsigned client, struct pen *table, unsigned limit);
void logbook_consume_from(struct logbook *book, unsigned client, int64_t offset, unsigned limit);
void logbook_consume_at(struct logbook *book, unsigned client, const char *word, unsigned limit);
void logbook_cancel(struct logbook *book, unsigned client);
void logbook_settle(struct logbook *book, unsigned client, const struct event *e);

/* The next delivery among the events, whoever it is for; NULL: none. */
struct event *logbook_next(struct logbook *book);

/* It is of this offset, and the message has the same number. */
struct event *logbook_expect_offset(struct logbook *book, unsigned client, uint64_t offset);
void logbook_expect_offsets(struct logbook *book, unsigned client, uint64_t from, uint64_t to);
#endif
