/* Observers: what happens to the messages of one queue, or of one exchange, told row by row to an administrator who
 * asks again and again (INSPECT_TRACE).
 *
 * There are few, each with a buffer that is bounded: what finds no room in it is dropped and counted, so a reader that
 * is slow costs no more than one that is not.  An observer that nobody reads ends by itself.  Without any it costs a
 * look at a number; with one the short cuts of publishing are not taken.
 *
 * Rows have `what` and `at` (ms, by the wall clock), and as far as there are such: queue exchange routing_key queues A
 * consumer_tag connection channel user redelivered reason count message_id payload_bytes payload.  what is:
 *
 *   published     it came to the exchange, and goes to these queues; unroutable: to none; returned: its publisher is
 * told refused       the queue is full delivered     to a consumer; got: by basic.get acked, rejected, requeued
 *   expired, maxlen, delivery_limit: it dies in the queue (one that is rejected does, too); dead_lettered: its letter
 *                 goes to this exchange and these queues, and reason says why; due: an exchange does not delay it
 * longer purged, deleted: the queue, with so many messages dropped       so many rows found no room: the last of a page
 *
 * Of an exchange are messages that came by it when they were published, and, of all that happens later, those that were
 * published to it.
 */
#ifndef BROKER_MODEL_OBSERVER_H
#define BROKER_MODEL_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/model/entry.h"
#include "broker/port/command.h"

struct broker;
struct consumer;
struct message;
struct queue;
struct stream;

enum {
    OBSERVERS_MAX = 8,
    OBSERVER_ROWS_MAX = 4096,     /* that wait to be read … */
    OBSERVER_BYTES_MAX = 1 << 20, /* … and their size */
    OBSERVER_IDLE_MS = 10000,     /* without being read: then it ends */
    OBSERVER_PAYLOAD_MAX = 4096,  /* bytes of a body that a row has */
    OBSERVER_QUEUES_MAX = 16,     /* names of queues in a row */
};

struct observer;

/* The broker's. */
struct observers {
    struct observer *at[OBSERVERS_MAX]; /* owned: the first n */
    unsigned n;
    uint64_t last_id;
};

void observers_fini(struct broker *b);

/* Answers an INSPECT_TRACE: begins one (cursor 0), reads (cursor: its number) or ends it. */
void observer_answer(struct broker *b, struct command *c);

/* ---- What happens; only where observer_is_on() (state.h). */

/* The route of the message was walked just now, if is_walked. */
void observer_published(struct broker *b, const struct stream *s, const struct message *m, struct queue *const *queues,
                        size_t n, bool is_walked);
void observer_returned(struct broker *b, const struct stream *s, const struct message *m);
void observer_refused(struct broker *b, const struct queue *q, const struct message *m);

/* c: NULL: by GET. */
void observer_delivered(struct broker *b, const struct stream *s, const struct consumer *c, const struct queue *q,
                        const struct message *m, bool redelivered);

/* The entry is out still. */
void observer_settled(struct broker *b, const struct entry *e, enum outcome outcome);

void observer_died(struct broker *b, const struct entry *e, enum death death);
void observer_letter(struct broker *b, const struct entry *e, const struct message *letter, struct queue *const *queues,
                     size_t n);

/* "purged", "deleted" */
void observer_queue(struct broker *b, const struct queue *q, const char *what, uint64_t count);
#endif
