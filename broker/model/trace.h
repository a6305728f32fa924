/* The firehose (reference queue-features 9.8): where a virtual host is traced, each message that a client publishes and
 * each that a client is given is copied to the exchange amq.rabbitmq.trace, with the key publish.EXCHANGE or
 * deliver.QUEUE and headers that say who, where and what.
 *
 * It costs a look at a flag where it is off, and where nothing is bound to that exchange.  Copies share the body, are
 * transient, and are routed when all else that the command caused is done.  Traffic of copies is not traced.
 */
#ifndef BROKER_MODEL_TRACE_H
#define BROKER_MODEL_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "broker/model/exchange.h"
#include "broker/model/vhost.h"

struct broker;
struct message;
struct queue;
struct stream;

enum {
    TRACE_HEADERS_MAX = 32 * 1024, /* bytes of a message's own headers that its copy's say, too: a client's frame must
                                      hold them all; a larger table is left out */
    TRACE_NAMES_MAX = 16 * 1024,   /* bytes of routing keys and of queues; what is more is left out */
};

static inline bool trace_is_on(const struct vhost *v)
{
    return v->is_traced && !list_is_empty(&v->trace->outgoing);
}

/* A client publishes it to these queues; is given it.  Only where trace_is_on(). */
void trace_published(struct broker *b, const struct stream *s, const struct message *m, struct queue *const *queues,
                     size_t n);
void trace_delivered(struct broker *b, const struct stream *s, const struct message *m, const struct queue *q,
                     bool redelivered);
#endif
