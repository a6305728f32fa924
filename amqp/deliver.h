/* Messages on their way to the client: basic.deliver, basic.get-ok, basic.return (reference amqp-protocol 7.5 to 7.7).
 */
#ifndef AMQP_DELIVER_H
#define AMQP_DELIVER_H

#include <stddef.h>

#include "broker/port/event.h"

struct channel;
struct session;

/* Takes the first of n events, which is DELIVERED, and those behind it that are so, too, and for the same session;
 * answers how many.  Unlike the other two it takes what the events own. */
size_t deliver_run(struct session *s, struct event *events, size_t n);

void deliver_on_got(struct session *s, struct channel *c, const struct event *e); /* GOT and EMPTY */
void deliver_on_returned(struct session *s, struct channel *c, const struct event *e);
#endif
