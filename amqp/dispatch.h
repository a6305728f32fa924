/* Which handler a method has, and on what channels it may come. */
#ifndef AMQP_DISPATCH_H
#define AMQP_DISPATCH_H

#include "amqp/error.h"
#include "base/bytes.h"
#include "codec/method.h"

struct channel;
struct session;

/* Reads a method frame's payload.  NULL, or why the connection must end: that is so on any channel, in any state. */
struct error *dispatch_decode(struct bytes payload, union method *m);

/* Carries out a method frame's payload on a channel; an exception that comes of it is raised. */
void dispatch_method(struct session *s, struct channel *c, struct bytes payload);
#endif
