/* How a connection ends: by an exception, by the peer's wish, silently, or because the socket is gone (reference
 * amqp-protocol 2.7).  What its channels hold goes back to the model first, then the peer is told. */
#ifndef AMQP_ENDING_H
#define AMQP_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/error.h"
#include "codec/method.h"

struct session;

/* Ends the connection with an exception.  Takes e.  Before the login is through, that is a silent close. */
void ending_raise(struct session *s, struct error *e);

/* Says so at once and waits for close-ok no longer than ms: for what happens before the connection is open. */
void ending_refuse(struct session *s, struct error *e, uint64_t ms);

/* Closes the socket after a while without a word (reference 2.4).  why: for the log; NULL: it was logged. */
void ending_linger(struct session *s, const char *why);

/* The socket is to be closed, now (its output lost) or when the output is written. */
void ending_finish(struct session *s, bool abort);

/* The peer sent connection.close, connection.close-ok. */
void ending_on_close(struct session *s);
void ending_on_close_ok(struct session *s);

/* The model has nothing more for it. */
void ending_on_detached(struct session *s);

/* The socket is gone. */
void ending_on_lost(struct session *s);

/* A deadline has passed. */
void ending_on_deadline(struct session *s);
#endif
