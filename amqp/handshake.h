/* From the protocol header to connection.open-ok, and the other methods of class connection (reference amqp-protocol
 * 2.1 to 2.6). */
#ifndef AMQP_HANDSHAKE_H
#define AMQP_HANDSHAKE_H

#include <stddef.h>

#include "base/bytes.h"
#include "broker/port/event.h"
#include "codec/method.h"

struct session;

/* Takes the protocol header off the front of in; answers how many bytes, 0 while it is not all there. */
size_t handshake_take_header(struct session *s, struct bytes in);

/* A method on channel 0. */
void handshake_take(struct session *s, const union method *m);

/* The login is through. */
void handshake_on_login(struct session *s);

/* The model's answer to ATTACH. */
void handshake_on_attached(struct session *s, const struct event *e);
void handshake_on_refused(struct session *s, const struct event *failed);
#endif
