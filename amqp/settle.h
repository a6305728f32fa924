/* basic.ack, basic.nack, basic.reject, basic.recover: tags become tickets (reference amqp-protocol 7.8 to 7.10). */
#ifndef AMQP_SETTLE_H
#define AMQP_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/error.h"
#include "codec/method.h"

struct channel;
struct session;

/* An acknowledgement, read by somebody else already. */
struct error *settle_ack(struct session *s, struct channel *c, uint64_t tag, bool multiple);

struct error *settle_on_ack(struct session *s, struct channel *c, const union method *m);
struct error *settle_on_nack(struct session *s, struct channel *c, const union method *m);
struct error *settle_on_reject(struct session *s, struct channel *c, const union method *m);
struct error *settle_on_recover(struct session *s, struct channel *c, const union method *m); /* and recover-async */

/* RECOVER was carried out. */
void settle_on_recovered(struct channel *c);
#endif
