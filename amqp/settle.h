/* basic.ack, basic.nack, basic.reject, basic.recover: tags become tickets (reference amqp-protocol 7.8 to 7.10). */
#ifndef AMQP_SETTLE_H
#define AMQP_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/error.h"
#include "broker/port/command.h"
#include "codec/method.h"

struct channel;
struct session;

/* Acknowledgements of a channel that come one behind the other, and are told to the model together:
 *
 *     settle_begin(&by, s, c, ACCEPTED);
 *     e = settle_next(&by, tag, multiple);     as often as there are any; an exception ends it
 *     settle_tell(&by);                        before anything else is told, or raised
 */
struct settler {
    struct session *s; /* borrowed */
    struct channel *c; /* borrowed */
    enum outcome outcome;
    uint32_t n; /* tickets that are not told yet */
    ticket tickets[1 + SETTLE_MORE_MAX];
};

void settle_begin(struct settler *by, struct session *s, struct channel *c, enum outcome outcome);
struct error *settle_next(struct settler *by, uint64_t tag, bool multiple);
void settle_tell(struct settler *by);

struct error *settle_on_ack(struct session *s, struct channel *c, const union method *m);
struct error *settle_on_nack(struct session *s, struct channel *c, const union method *m);
struct error *settle_on_reject(struct session *s, struct channel *c, const union method *m);
struct error *settle_on_recover(struct session *s, struct channel *c, const union method *m); /* and recover-async */

/* RECOVER was carried out. */
void settle_on_recovered(struct channel *c);
#endif
