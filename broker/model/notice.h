/* Events (reference queue-features 9.7, RabbitMQ's plugin rabbitmq_event_exchange): what comes and goes is told to the
 * exchange amq.rabbitmq.event, with keys like queue.created, the facts in headers, and an empty body.
 *
 * That exchange is in the virtual host which the configuration names; by default there is none.  Where nothing is bound
 * to it, an event costs a look.  Not told: what the model does not see, such as logins that fail; arguments are tables,
 * where the plugin has lists of texts.  Secrets are not told: of a user or a parameter only its names.
 */
#ifndef BROKER_MODEL_NOTICE_H
#define BROKER_MODEL_NOTICE_H

#include <stdbool.h>

#include "broker/model/exchange.h"
#include "broker/model/state.h"
#include "broker/port/definition.h"

struct consumer;
struct outlet;
struct stream;

/* Larger arguments are left out of an event: a client's frame must hold it. */
enum { NOTICE_ARGUMENTS_MAX = 32 * 1024 };

static inline bool notice_is_on(const struct broker *b)
{
    return b->notices != NULL && !list_is_empty(&b->notices->outgoing) && b->effects != NULL;
}

/* It is there from now on; or it goes.  Only where notice_is_on(). */
void notice_queue(struct broker *b, const struct queue *q, bool is_new);
void notice_exchange(struct broker *b, const struct exchange *x, bool is_new);
void notice_binding(struct broker *b, const struct binding *bd, bool is_new);
void notice_consumer(struct broker *b, const struct consumer *c, bool is_new);
void notice_connection(struct broker *b, const struct outlet *o, bool is_new);
void notice_channel(struct broker *b, const struct stream *s, bool is_new);

/* An administrator has put or taken away a virtual host, a user, a right, a parameter, a policy. */
void notice_definition(struct broker *b, enum definition_class what, const struct spec *spec, bool is_put);
#endif
