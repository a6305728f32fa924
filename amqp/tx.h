/* Transactions: publishes and settlements are kept until tx.commit, which the model carries out in one step (reference
 * amqp-protocol 9). */
#ifndef AMQP_TX_H
#define AMQP_TX_H

#include "amqp/error.h"
#include "broker/port/command.h"
#include "codec/method.h"

struct channel;
struct session;

/* Keeps the publish that c->content holds, and has the model check it now. */
struct error *tx_publish(struct session *s, struct channel *c);

/* Keeps a settlement.  Whether that was too much is asked when all of an acknowledgement's are kept. */
void tx_settle(struct session *s, struct channel *c, ticket t, enum outcome outcome);
struct error *tx_check_size(const struct session *s);

/* The channel ends: nothing of it will be done. */
void tx_drop(struct session *s, struct channel *c);

struct error *tx_on_select(struct session *s, struct channel *c, const union method *m);
struct error *tx_on_commit(struct session *s, struct channel *c, const union method *m);
struct error *tx_on_rollback(struct session *s, struct channel *c, const union method *m);
#endif
