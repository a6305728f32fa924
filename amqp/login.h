/* Logging in: from start-ok to the verdict (reference amqp-protocol 2.4, queue-features 12.1, 12.5).
 *
 * The model is asked about the user, the configuration judges what came of it, and the verdict is told when it may be:
 * who guesses passwords has to wait (reliability C4).  What is needed for that lives until the connection is open.
 */
#ifndef AMQP_LOGIN_H
#define AMQP_LOGIN_H

#include "base/bytes.h"
#include "codec/cursor.h"

struct event;
struct greeting;
struct session;
struct session_peer;
union method;

enum { LOGIN_NAME_MAX = 255 }; /* bytes of a user's name; longer ones are refused like unknown ones */

struct greeting *greeting_create(const struct session_peer *peer);
void greeting_destroy(struct greeting *g); /* wipes what is secret; NULL is allowed */

/* May a stranger's mistake be logged?  Those of one place are, so many in a while; *suppressed: how many were not,
 * before it, which the log has been told; NULL is allowed. */
bool greeting_may_log(const struct session *s, unsigned *suppressed);

/* Which mechanisms this peer is offered: bits of enum session_mechanism. */
unsigned login_mechanisms(const struct session *s);

/* Takes start-ok's mechanism and response. */
void login_begin(struct session *s, const union method *start_ok);

/* What the model knows of the user. */
void login_on_answer(struct session *s, const struct event *e);

/* JUDGED, and it may be told now. */
void login_tell(struct session *s);

/* What listings show of this connection, as a table, which the caller gives to free(). */
uint8_t *login_make_facts(const struct session *s, size_t *len);
#endif
