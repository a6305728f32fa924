/* What a command about the topology says: names, flags, arguments.  One heap block that moves with the command to the
 * model and comes back with its answer, so the asker finds there what it asked.
 */
#ifndef BROKER_PORT_SPEC_H
#define BROKER_PORT_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { SPEC_ARGUMENTS_MAX = 64 }; /* arguments of one object (reliability C6) */

enum overflow { OVERFLOW_DROP_HEAD, OVERFLOW_REJECT_PUBLISH, OVERFLOW_REJECT_PUBLISH_DLX };
enum queue_type { QUEUE_CLASSIC, QUEUE_QUORUM, QUEUE_STREAM };
enum retry_type { RETRY_DISABLED, RETRY_ALL, RETRY_FAILED, RETRY_RETURNED };
enum retry_growth { RETRY_LINEAR, RETRY_CONSTANT, RETRY_EXPONENTIAL };

#define SPEC_NONE UINT64_MAX /* an option that was not given, or a limit that there is not */

/* What a queue is like: read from its x-… arguments and from policies (port/queue_options.h; reference queue-features
 * 0.3, 8.2).  Numbers: SPEC_NONE if not given. */
struct queue_options {
    uint64_t message_ttl_ms, expires_ms;
    uint64_t max_length, max_length_bytes;
    enum overflow overflow;
    bool has_dead_letter_exchange, has_dead_letter_routing_key;
    struct bytes dead_letter_exchange, dead_letter_routing_key; /* views into what they were read from */

    uint64_t delivery_limit; /* how often a message may be given back */
    uint64_t consumer_timeout_ms;
    uint64_t retry_min_ms, retry_max_ms;             /* delayed retry */
    uint64_t max_age_ms, segment_bytes;              /* streams */
    uint64_t cache_size, cache_ttl_ms;               /* deduplication */
    uint64_t publish_rate;                           /* messages a second */
    struct bytes deduplication_header, group_header; /* views; empty: none */
    uint8_t type;                                    /* enum queue_type */
    uint8_t max_priority;                            /* 0: messages have none */
    uint8_t retry_type, retry_growth;
    bool has_overflow, has_delivery_limit; /* was given, whatever it says */
    bool single_active_consumer, deduplicates;
    bool at_least_once; /* x-dead-letter-strategy */
};

struct spec {
    struct bytes vhost;     /* of what administrators name; a client's own need not be said */
    struct bytes name;      /* the queue or exchange; a binding's destination; a virtual host; a consumer's tag */
    struct bytes source;    /* a binding's source; a connection's user */
    struct bytes key;       /* a binding's routing key */
    struct bytes type;      /* an exchange's type */
    struct bytes arguments; /* a checked table */
    struct bytes objection; /* why the options are nonsense, or empty: the model says so after its own checks, so that
                               errors come in the order of reference amqp-protocol 4.7 */
    bool passive, durable, exclusive, auto_delete, internal;
    bool to_exchange;         /* a binding's destination is an exchange */
    bool if_unused, if_empty; /* for deletes */
    bool server_named;        /* the session made the queue's name up: the reserved prefix is right */
    bool hidden;              /* a queue of the broker's own: in no listing, reached by no name.  ATTACH: of the desk's
                                 own, in no listing, and known already: without a user it is the machine's administrator,
                                 who has all rights and no limits */
    bool is_reply;            /* SUBSCRIBE: the name is an address that the session made up (port/reply.h) */
    bool no_ack;
    int64_t priority; /* a consumer's x-priority */
    uint64_t serial;  /* LOGIN, ATTACH: of the user as it was; 0: there is none */
    struct queue_options options;
    uint8_t data[]; /* where the views above point */
};

/* A spec with copies of the seven views in from (options' views are moved along when they point into from->arguments);
 * everything else is copied as it is.  The caller owns it and gives it to free(). */
struct spec *spec_create(const struct spec *from);
#endif
