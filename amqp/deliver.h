/* Messages on their way to the client: basic.deliver, basic.get-ok, basic.return (reference amqp-protocol 7.5 to 7.7).
 */
#ifndef AMQP_DELIVER_H
#define AMQP_DELIVER_H

#include "broker/port/event.h"

struct channel;
struct session;

void deliver_on_delivered(struct session *s, struct channel *c, const struct event *e);
void deliver_on_got(struct session *s, struct channel *c, const struct event *e); /* GOT and EMPTY */
void deliver_on_returned(struct session *s, struct channel *c, const struct event *e);
#endif
