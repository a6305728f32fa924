/* What an administrator wants to see (the command INSPECT): a page of a list, each row a field table.
 *
 * A list changes while it is read.  What is there from the first page to the last is seen; what comes or goes
 * meanwhile may be; and an object may be seen twice.
 */
#ifndef BROKER_PORT_INSPECTION_H
#define BROKER_PORT_INSPECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct message;

enum {
    INSPECTION_ROWS_MAX = 256,       /* of one page, and a few more where they belong together */
    INSPECTION_BRIEF_ROWS_MAX = 512, /* likewise, of brief ones */
    INSPECTION_BYTES_MAX = 1 << 20,  /* of rows: a page that has as many gets no more, whatever a row may take */
    INSPECTION_NAMES_MAX = 1024,
};

/* Rows have the columns of reference operations 6.2 that the model knows, by these names; text is S, numbers l, flags
 * t, tables F.  VHOSTS, EXCHANGES, QUEUES, CONNECTIONS and CHANNELS have `statistics` F, too, once there was traffic:
 * id (port/sample.h), and of the counters those that are not 0 by their names. */
enum inspection_kind {
    INSPECT_TOTALS,            /* one row: queues exchanges bindings consumers connections channels messages_ready
                                  messages_unacknowledged messages memory_bytes (what
                                  counts for the alarm) vhosts users; of all that are there, added up:
                                  message_bytes_ready message_bytes_unacknowledged send_pend messages_unconfirmed
                                  messages_uncommitted acks_uncommitted global_prefetch_count; counted since the start:
                                  received_octets received_reads sent_octets sent_writes
                                  connections_opened connections_closed channels_opened channels_closed queues_declared
                                  queues_created queues_deleted, received received_confirm confirmed routed
                                  unroutable_dropped unroutable_returned; publishers: channels that have published;
                                  message_sizes A: how many bodies of at most 100, 1e3, 1e4, 1e5, 1e6, 1e7, 5e7, 1e8
                                  bytes and of more, and message_bytes: their sum; classic, quorum, stream, each F:
                                  counters of port/sample.h's names, and dead_lettered_expired _maxlen _rejected
                                  _delivery_limit _confirmed; of those, dead_lettered_at_least_once_expired … by
                                  that strategy; dead_lettered_disabled_expired …: that had nowhere to go */
    INSPECT_VHOSTS,            /* name, and its definition's arguments; messages messages_ready
                                  messages_unacknowledged; limits F */
    INSPECT_USERS,             /* name, and its definition's arguments */
    INSPECT_PERMISSIONS,       /* user vhost configure write read */
    INSPECT_TOPIC_PERMISSIONS, /* user vhost exchange write read */
    INSPECT_PARAMETERS,        /* vhost component name value; global ones, too: vhost and component are empty */
    INSPECT_EXCHANGES,         /* name vhost type durable auto_delete internal arguments; messages_delayed of one
                                  that delays */
    INSPECT_QUEUES,            /* name vhost durable auto_delete exclusive arguments messages messages_ready
                                  messages_unacknowledged message_bytes_ready consumers type state; owner_pid: the connection's
                                  name; message_bytes message_bytes_unacknowledged; messages_ram messages_paged_out
                                  messages_persistent and the message_bytes_… of each; memory, an estimate;
                                  consumer_utilisation d (model/utilisation.h); where known, head_message_timestamp
                                  head_message_age_ms oldest_unacked_age_ms; single_active_consumer_tag,
                                  exclusive_consumer_tag; policy, operator_policy, effective_policy_definition where
                                  there is one */
    INSPECT_BINDINGS,  /* source vhost destination destination_type routing_key arguments; those of the default exchange
                          are implied and not listed */
    INSPECT_CONSUMERS, /* queue_name vhost consumer_tag ack_required exclusive prefetch_count active priority arguments,
                          channel: its number, connection: its name, user; messages_unacknowledged: what it holds;
                          waiting_for: a word of model/waiting.h, why it is given nothing, and explanation: a sentence;
                          activity_status */
    INSPECT_CONNECTIONS, /* vhost user channels connected_at state, and the facts that ATTACH said */
    INSPECT_CHANNELS,    /* connection: its name, number user vhost consumer_count messages_unacknowledged
                            prefetch_count global_prefetch_count confirm transactional (as soon as it has published so) */
    INSPECT_DELAYED,     /* of the exchange that is named: id vhost exchange published_to routing_key due_at (ms, by the
                            wall clock) bytes; in the order of publication */
    INSPECT_MESSAGES,    /* of the queue that is named, what is ready: position exchange routing_key redelivered
                            delivery_count expires_in (ms, if it does) payload_bytes payload (its first bytes) properties:
                            S, as codec/properties.h encodes them; in the order in which they came.  The cursor is a
                            position */
    INSPECT_UNACKED,     /* of the virtual host, or its queue that is named, what is out: queue_name vhost consumer_tag
                            (none: it was fetched) channel connection user since_ms (by the wall clock) age_ms redelivered
                            delivery_count position exchange routing_key payload_bytes; in no certain order */
    INSPECT_TRACE,       /* what has happened to messages of the queue, or the exchange, that is named, since the last
                            time (model/observer.h).  The cursor is the number of the trace; 0 begins one, and the
                            answer says its number */
    INSPECT_ROUTE,       /* of the exchange that is named (empty: the default one), where `msg` would go if it were
                            published to it now: rows of several sorts (model/explain.h), in one page */
};

struct inspection {
    enum inspection_kind what;
    bool has_vhost, has_name; /* only of that virtual host, or name (of a connection: as the facts say; of a user's
                                 permissions: the user; of a queue's bindings: the queue; DELAYED: the exchange,
                                 MESSAGES: the queue, which must be said) */
    struct bytes vhost, name; /* in data.  EXCHANGES, QUEUES, BINDINGS, CONSUMERS, UNACKED, DELAYED, PERMISSIONS and
                                 TOPIC_PERMISSIONS must say a vhost; but PERMISSIONS that name a user need not */
    char *user; /* owned: MESSAGES, UNACKED, TRACE: who looks, and needs to read the queue; NULL: nobody is asked */
    uint64_t cursor; /* 0: from the beginning; in the answer: for the next page, 0: that was the last */
    struct {
        bool of_exchange, ends;
        uint32_t payload_bytes; /* of each body */
    } trace;                    /* TRACE */
    struct message *msg;        /* ROUTE: owned */
    uint32_t limit;             /* MESSAGES: rows of a page; 0: as many as it holds */
    bool is_brief;              /* QUEUES: rows have no more than name messages messages_ready messages_unacknowledged
                                   consumers id (port/sample.h; none before there was traffic) and `count`: … */
    uint32_t counters;          /* … how many of these, a bit 1 << enum sample_counter each, it counts together */
    struct bytes names;         /* QUEUES: if not empty, only those, in this order, and vhost and name say nothing
                                   (inspection_create_named()); in data */
    uint32_t skip;              /* the answerer's own, beside cursor */
    size_t n;                   /* rows in the answer … */
    uint8_t *rows;              /* … owned: each its length, 4 bytes big-endian, and a field table */
    size_t size, capacity;      /* bytes of rows */
    uint8_t data[];
};

/* With copies of the names; NULL: none. */
struct inspection *inspection_create(enum inspection_kind what, const struct bytes *vhost, const struct bytes *name);

/* Of queues that are named: pairs of virtual host and name, n of them, at most INSPECTION_NAMES_MAX; of those that are
 * not there are no rows. */
struct inspection *inspection_create_named(const struct bytes (*pairs)[2], size_t n);
void inspection_destroy(struct inspection *i); /* NULL is allowed */

/* Forgets the rows, so that it can be asked again. */
void inspection_clear(struct inspection *i);

/* Walking rows: *at begins as 0.  False: that was all. */
bool inspection_next(const struct inspection *i, size_t *at, struct bytes *row);

/* For whoever answers: room for a row of at most that many bytes; and how long it has become. */
uint8_t *inspection_open_row(struct inspection *i, size_t room);
void inspection_close_row(struct inspection *i, size_t size);
#endif
