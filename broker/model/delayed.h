/* Delayed messages: an exchange of type x-delayed-message keeps what is published to it with an x-delay header for so
 * long, and then routes it as its x-delayed-type does, with the bindings of that moment (reference queue-features 9.9).
 *
 * Where they wait is a queue that nobody can name: it is in no virtual host's map, counts for no limit and has no
 * consumers; its messages are recorded like any queue's, whatever their delivery mode, with the delay for a TTL.  When
 * one is due it dies, and its dead letter is the same message with a negative delay, so that settling it here and
 * putting it there is one record.
 *
 * In memory there is the schedule (schedule.h) and, of what is due soon, a window of messages; the others are loaded
 * when they are due.  At the start the queue is swept once, by loads, to find out when each is due; until that is done
 * nothing is, and what is published meanwhile has a schedule of its own.
 */
#ifndef BROKER_MODEL_DELAYED_H
#define BROKER_MODEL_DELAYED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "broker/model/schedule.h"
#include "broker/model/state.h"

struct change;
struct exchange;
struct field;
struct load;
struct message;
struct queue;

#define DELAYED_MAX_MS UINT64_C(315360000000) /* ten years; what is to wait longer does not wait at all */

enum {
    DELAYED_WARM_MS = 60 * 1000, /* what is due within this time may stay in memory */
    DELAYED_LISTINGS_MAX = 64,   /* pages of one exchange's list that may be under way */
    DELAYED_COUNT_MAX = 1 << 28, /* messages of one exchange */
};

enum delayed_load { LOADS_NOTHING, LOADS_ALL, LOADS_DUE, LOADS_LISTED };

/* A hidden queue's. */
struct delayed {
    struct exchange *exchange; /* borrowed */
    struct schedule schedule;
    struct schedule late;           /* published while the queue was swept */
    uint64_t unswept;               /* messages that were there at the start and have not been looked at … */
    uint64_t sweep_to;              /* … before this position; 0: all have been, or there were none */
    uint64_t count;                 /* of all that wait */
    uint64_t warm_count, warm_cost; /* of those in memory; message_cost() */
    struct wakeup due;              /* of the first */
    struct list listings;           /* INSPECTs that wait for a load */
    unsigned listing_count;
    enum delayed_load loading;   /* what the load that is under way is for */
    uint64_t load_from, load_to; /* LOADS_DUE: the positions that it must bring */
    bool is_narrow;              /* the load before did not reach what is due: only that */
};

/* How long the message is to wait, by the value of its header x-delay; 0: it is not. */
uint64_t delayed_time(const struct field *f);

/* The exchange's hidden queue, made and recorded if need be. */
struct queue *delayed_queue(struct broker *b, struct exchange *x);

/* The same with a number that was restored; not recorded. */
struct queue *delayed_queue_create(struct broker *b, struct exchange *x, uint64_t id);

/* The arguments of a hidden queue's definition say whose it is.  False: nonsense. */
bool delayed_read_exchange(struct bytes arguments, struct bytes *name);

/* For the queue: so much was there at the start, all before its next_position. */
void delayed_restore(struct broker *b, struct queue *q, uint64_t messages);

/* For loads (cold.c): asks for what is wanted; false: nothing is.  And it has come; the load stays the caller's. */
bool delayed_ask(struct broker *b, struct queue *q);
void delayed_take_load(struct broker *b, struct queue *q, struct load *l);

/* What is routed when a message is due; the caller holds the only reference. */
struct message *delayed_write_letter(struct message *died);

/* How many wait at the exchange. */
uint64_t delayed_count(const struct exchange *x);

/* A page of what waits at an exchange: a command that has one is answered, now or later. */
struct command;
void delayed_list(struct broker *b, struct command *c, struct exchange *x);

/* There is something to load. */
void delayed_want(struct broker *b, struct delayed *d);

/* The message of that number (its position) does not wait any more. */
void delayed_cancel(struct broker *b, struct exchange *x, uint64_t number, struct change *c);

void delayed_check(const struct broker *b, const struct queue *q);
#endif
