/* The broker itself: virtual hosts, exchanges, queues, messages, consumers, and nothing else.  No sockets, no frames,
 * no clock, no disk, no threads: the same commands at the same times always have the same effects.  One thread owns it.
 */
#ifndef BROKER_MODEL_BROKER_H
#define BROKER_MODEL_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/command.h"
#include "broker/port/event.h"

struct broker;

struct broker_config {
    const char *default_vhost; /* made at once, with its predeclared exchanges; borrowed during broker_create() */
    uint64_t hash_seed;        /* what names are hashed with; any number, unguessable where peers choose names */
    uint64_t memory_high; /* message bytes held that raise ALARM_MEMORY (see check_alarms() for its end); UINT64_MAX:
                             never */
};

/* One reading of both clocks a step. */
struct instant {
    uint64_t ms;      /* never goes back: TTLs, leases */
    uint64_t wall_ms; /* since 1970: for x-death */
};

/* What a step caused, in order.  The events own what event.h says they own. */
struct effects {
    struct event *events;
    size_t n, capacity;
    bool alarms_changed; /* since effects_clear() */
    unsigned alarms;     /* enum alarm, as they are now */
};

void effects_init(struct effects *e);
void effects_fini(struct effects *e);  /* drops what is left */
void effects_clear(struct effects *e); /* forgets events that were handed on */

struct broker *broker_create(const struct broker_config *config);
void broker_destroy(struct broker *b);

/* Carries out n commands at one time, in order, and adds what follows from them to *out.  Takes over what the commands
 * own.  Also fires whatever has fallen due by now, so n may be 0. */
void broker_step(struct broker *b, const struct instant *now, struct command *commands, size_t n, struct effects *out);

/* When to step next though no command comes (message expiry, queue expiry), in instant.ms.  UINT64_MAX: never. */
uint64_t broker_deadline(const struct broker *b);

/* What is there now. */
struct broker_totals {
    uint64_t queues, exchanges, bindings, consumers, outlets;
    uint64_t messages_ready, messages_out;
    uint64_t
        message_bytes; /* message_cost() of what is ready or out; a message in several queues counts once a queue */
};
struct broker_totals broker_totals(const struct broker *b);

/* Dies if any invariant of the whole model is broken.  Slow; for tests, fuzzers and the simulation. */
void broker_check(const struct broker *b);
#endif
