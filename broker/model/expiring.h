/* Expiry anywhere in a queue: what is overdue leaves it in the order of deadlines, wherever it is (reference
 * queue-features 2.2, 13.2).
 *
 * Most queues need nothing for that: while deadlines rise with positions, whatever is overdue is at the front.  Only a
 * message with a deadline before one that came earlier is out of order, and what came back, and whatever has a deadline
 * in a queue with priorities.  Those are in a heap while they are in memory, and in a schedule while they are cold;
 * there a message that is only to be dropped is dropped unread.  (What was cold at the start, or when the queue got
 * another TTL, is out of nobody's order until it is loaded.)
 */
#ifndef BROKER_MODEL_EXPIRING_H
#define BROKER_MODEL_EXPIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "broker/model/schedule.h"

struct broker;
struct entry;
struct load;
struct queue;

/* A queue's. */
struct expiring {
    struct heap heap;              /* READY and RETURNED entries that are out of order, by deadline and position */
    uint64_t latest;               /* deadline of the last in ready.list that is in order */
    uint64_t latest_cold;          /* … of what is cold */
    struct schedule *cold;         /* owned: what is cold and out of order; NULL: nothing ever was */
    uint64_t fetch_from, fetch_to; /* positions that the load which is under way is to bring … */
    bool is_fetching;              /* … if it is for this */
    bool is_narrow;                /* the load before brought none of them */
};

void expiring_init(struct expiring *x);
void expiring_fini(struct expiring *x); /* its heap is empty */

/* An entry is the last of the queue's ready ones; has come back to them; is not one of them any more. */
void expiring_append(struct broker *b, struct queue *q, struct entry *e);
void expiring_return(struct broker *b, struct queue *q, struct entry *e);
void expiring_remove(struct queue *q, struct entry *e);

/* A message is the last of the cold ones; all of them are gone; some were there at the start. */
void expiring_add_cold(struct broker *b, struct queue *q, uint64_t position, uint64_t deadline, uint64_t bytes);
void expiring_forget_cold(struct queue *q);
void expiring_know_nothing(struct queue *q);

/* All deadlines are others now: before and after they are. */
void expiring_begin_anew(struct broker *b, struct queue *q);

/* The next to expire of those in memory, overdue or not; NULL: none. */
struct entry *expiring_first(const struct broker *b, const struct queue *q);

/* When somebody should look; ENTRY_NEVER: not. */
uint64_t expiring_next(const struct broker *b, struct queue *q);

/* Drops what is cold and overdue, or asks for it if it is to be dead-lettered. */
void expiring_clean_cold(struct broker *b, struct queue *q);

/* For loads (cold.c): asks for what is to be read; false: nothing is. */
bool expiring_asks(struct broker *b, struct queue *q);

/* What was asked for has come; the load stays the caller's. */
void expiring_take_load(struct broker *b, struct queue *q, struct load *l);

void expiring_check(const struct broker *b, const struct queue *q);
#endif
