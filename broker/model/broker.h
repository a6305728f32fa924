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
#include "broker/port/record.h"

struct broker;
struct spec;

/* As in RabbitMQ 4. */
enum { MODEL_DELIVERY_LIMIT = 20 };

struct broker_config {
    const char *default_vhost; /* made at once, with its predeclared exchanges, and not remembered; NULL: none; borrowed
                                  during broker_create() */
    const char *node;          /* what we are called, for traces; NULL: ""; borrowed during broker_create() */
    const char *event_vhost;   /* where the event exchange is (model/notice.h); NULL: there is none; likewise */
    uint64_t hash_seed;        /* what names are hashed with; any number, unguessable where peers choose names */
    uint64_t memory_high; /* message bytes held that raise ALARM_MEMORY (see check_alarms() for its end); UINT64_MAX:
                             never */

    uint64_t connections_max; /* open ones; 0: no limit */

    bool expires_at_head; /* what is overdue leaves a queue from its head only; else from wherever it is (expiring.h) */
    bool delays_anywhere; /* every exchange delays what has an x-delay (delayed.h), not only those made for that */
    uint64_t consumer_timeout_ms; /* that queues have if they do not say; 0: none */
    bool ignores_client_deaths;   /* an x-death that a client has sent is replaced when its message dies */
    uint64_t delivery_limit;      /* that quorum queues have if they do not say; 0: MODEL_DELIVERY_LIMIT */

    uint8_t
        default_queue_type;  /* enum queue_type: of those that do not say, where their virtual host does not either */
    bool strict_queue_types; /* refuse arguments that RabbitMQ refuses for a queue's type, too */
    bool relaxed_redeclare;  /* a queue that is declared otherwise again stays as it is … */
    bool relaxed_quorum;     /* … or only a quorum queue, as a classic one */

    bool takes_detours; /* no short cut is taken: for tests, which hold the short way to the long one */
    bool records; /* emit records, stamp events, let long queues go cold (model/cold.h); false: nothing is remembered */
    /* 0: as model/cold.h says.  Memory that messages may take before long queues go cold, and what each queue may have
     * in memory whatever others do. */
    uint64_t window_bytes;
    uint32_t window_messages, window_queue_bytes;
};

/* What of it may change while the broker runs; of consumer_timeout_ms deliveries know that go out afterwards. */
struct broker_tuning {
    uint64_t memory_high, connections_max, consumer_timeout_ms;
};

/* One reading of both clocks a step. */
struct instant {
    uint64_t ms;      /* never goes back: TTLs, leases */
    uint64_t wall_ms; /* since 1970: for x-death */
};

/* What a step caused, in order.  The events own what event.h says they own.  Whoever keeps the records moves them out
 * after each step, or after several of the same instant. */
struct effects {
    struct event *events;
    size_t n, capacity;
    struct sheaf records;
    bool alarms_changed; /* since effects_clear() */
    unsigned alarms;     /* enum alarm, as they are now */
};

void effects_init(struct effects *e);
void effects_fini(struct effects *e);  /* drops what is left */
void effects_clear(struct effects *e); /* forgets events that were handed on; drops records that were not */

struct broker *broker_create(const struct broker_config *config);
void broker_destroy(struct broker *b);
void broker_tune(struct broker *b, const struct broker_tuning *t); /* alarms are judged by it in the next step */

/* Carries out n commands at one time, in order, and adds what follows from them to *out.  Takes over what the commands
 * own.  Also fires whatever has fallen due by now, so n may be 0. */
void broker_step(struct broker *b, const struct instant *now, struct command *commands, size_t n, struct effects *out);

/* Before the first step: what was remembered, in the order of enum definition_class, then what queues hold.  False:
 * it is nonsense, names something that is not there, or is there already; nothing has changed. */
bool broker_restore_definition(struct broker *b, enum definition_class what, uint64_t queue, struct bytes key,
                               struct bytes value);

/* The queue of that number holds so many messages, of so many bytes of body: all of them cold.  next_position is more
 * than any position that it ever had. */
bool broker_restore_queue(struct broker *b, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position);

/* No queue has this number or a higher one, or had; without it: the highest that was restored, plus one. */
void broker_set_next_queue_id(struct broker *b, uint64_t id);

/* Every virtual host that is made from now on, and whose name the pattern is found in, gets that parameter or
 * permission (spec->vhost does not count), unless it has one of that name; or then there is that user, unless there is
 * one.  NULL, or what is wrong, on the heap. */
char *broker_add_vhost_default(struct broker *b, struct bytes pattern, enum definition_class what,
                               const struct spec *spec);

/* From now on clients go because the broker does: no durable queue or exchange is auto-deleted any more. */
void broker_shut_down(struct broker *b);

/* Sets or clears an alarm that others find out (ALARM_DISK); clients learn of it with the next step. */
void broker_set_alarm(struct broker *b, enum alarm alarm, bool is_set);

/* So many bytes of messages are held elsewhere, on their way to disk; they count for ALARM_MEMORY from the next step
 * on.
 */
void broker_set_bytes_outside(struct broker *b, uint64_t bytes);

/* When to step next though no command comes (message expiry, queue expiry), in instant.ms.  UINT64_MAX: never. */
uint64_t broker_deadline(const struct broker *b);

/* What is there now. */
struct broker_totals {
    uint64_t queues, exchanges, bindings, consumers, outlets;
    uint64_t users, vhosts;
    uint64_t messages_ready, messages_out; /* ready: in memory or cold */
    uint64_t messages_read;                /* those that are out of streams, where they are ready still */
    uint64_t messages_waiting;             /* to be ready again (retry.h) */
    uint64_t messages_delayed;             /* at exchanges (delayed.h) */
    uint64_t message_bytes; /* message_cost() of what is ready or out in memory, once, and of each place in a queue */
};
struct broker_totals broker_totals(const struct broker *b);

/* Dies if any invariant of the whole model is broken.  Slow; for tests, fuzzers and the simulation. */
void broker_check(const struct broker *b);
#endif
