/* Consumers: basic.qos, consume, cancel and get (reference amqp-protocol 7.1 to 7.3, 7.7, 7.11).
 *
 * A client names its consumers by tag, the port by a number, dense over the connection.  A tag is free when its
 * consumer is cancelled; the number only when the model is known to have nothing more for it.
 */
#ifndef AMQP_CONSUME_H
#define AMQP_CONSUME_H

#include "amqp/error.h"
#include "base/bytes.h"
#include "broker/port/event.h"
#include "codec/method.h"

struct channel;
struct session;

enum { CONSUME_MAX = 1 << 20 }; /* consumers of a connection */

struct error *consume_on_qos(struct session *s, struct channel *c, const union method *m);
struct error *consume_on_consume(struct session *s, struct channel *c, const union method *m);
struct error *consume_on_cancel(struct session *s, struct channel *c, const union method *m);
struct error *consume_on_get(struct session *s, struct channel *c, const union method *m);

/* The tag of a consumer of the channel; false if there is none of that number. */
bool consume_find_tag(const struct session *s, const struct channel *c, uint32_t number, struct bytes *tag);

/* What all deliveries to it begin with (amqp/prepared.h), borrowed; empty if there is none of that number. */
struct bytes consume_find_prepared(const struct session *s, const struct channel *c, uint32_t number);

/* UNSUBSCRIBE was answered: the number is free. */
void consume_on_unsubscribed(struct session *s, struct channel *c, uint32_t number);

/* What it had out too long was taken back: a consumer is cancelled, or (its client does not know that, or there is
 * none) the channel closed. */
void consume_on_overdue(struct session *s, struct channel *c, const struct event *e);

/* The queue is gone: tells the client, if it wants to be told. */
void consume_on_cancelled(struct session *s, struct channel *c, const struct event *e);

/* The channel's consumers have ended with its stream. */
void consume_forget_channel(struct session *s, struct channel *c);

/* Frees the tables. */
void consume_fini(struct session *s);
#endif
