/* Exchanges, queues and bindings: methods become specs, which the model judges (reference amqp-protocol 5 and 6). */
#ifndef AMQP_TOPOLOGY_H
#define AMQP_TOPOLOGY_H

#include "amqp/error.h"
#include "base/bytes.h"
#include "codec/method.h"

struct channel;
struct session;

struct error *topology_on_exchange_declare(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_exchange_delete(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_exchange_bind(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_exchange_unbind(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_queue_declare(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_queue_bind(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_queue_unbind(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_queue_purge(struct session *s, struct channel *c, const union method *m);
struct error *topology_on_queue_delete(struct session *s, struct channel *c, const union method *m);

/* No name means the queue that the channel declared last (reference 6.1). */
struct error *topology_complete_queue(const struct channel *c, struct bytes *name);
#endif
