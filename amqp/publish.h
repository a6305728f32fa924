/* basic.publish: from a content to a PUBLISH command, and the confirms that come back (reference
 * amqp-protocol 7.4, 7.5, 8).  What is wrong with a message is said after the model's own checks, as an objection that
 * travels with it. */
#ifndef AMQP_PUBLISH_H
#define AMQP_PUBLISH_H

#include "amqp/confirms.h"
#include "amqp/error.h"
#include "amqp/state.h"
#include "base/bytes.h"
#include "broker/port/event.h"
#include "codec/method.h"

struct message;
struct message_spec;

enum { PUBLISH_EXPIRATION_MAX_MS_DIGITS = 12 };          /* of 315360000000 */
#define PUBLISH_EXPIRATION_MAX_MS UINT64_C(315360000000) /* ten years */

/* The method: its content follows. */
struct error *publish_on_publish(struct session *s, struct channel *c, const union method *m);

/* The content's header: makes the message, unless something is wrong with it. */
void publish_header(struct session *s, struct channel *c, struct bytes properties);

/* Reads the properties of a publish that may be repeated: flags, priority and expiration of spec, which depend on
 * nothing but them.  False: the ordinary road must look at them, be it that they are wrong, or that they are to be
 * changed, or say more than that. */
bool publish_read_plain(const struct session *s, const struct channel *c, struct bytes properties,
                        struct message_spec *spec);

/* Counts a publish that was sent on.  The session may be slowed then. */
void publish_count(struct session *s);

/* The command that sends a whole message on, which it takes; publish_count() is due then. */
static inline struct command *publish_tell(struct session *s, struct channel *c, struct message *m, bool mandatory)
{
    bool confirms = c->confirms != NULL;
    struct command *publish = session_tell(s, c, PUBLISH, confirms ? confirms_next(c->confirms) : 0);
    publish->publish.msg = m;
    publish->publish.mandatory = mandatory;
    publish->publish.confirm = confirms;
    return publish;
}

/* All of it is there: sends it on. */
struct error *publish_whole(struct session *s, struct channel *c);

struct error *publish_on_confirm_select(struct session *s, struct channel *c, const union method *m);

/* CONFIRMED, REFUSED. */
void publish_on_confirmed(struct session *s, struct channel *c, const struct event *e);

/* Writes the confirms that were gathered, and takes the channel off the session's list. */
void publish_flush_confirms(struct session *s, struct channel *c);

/* A whole message, for whoever publishes without a session, as that user: exchange and routing key of names, and
 * encoded properties.  *objection, which the caller frees, and *impersonates are what PUBLISH says besides
 * (port/command.h). NULL: the properties are malformed. */
struct message *publish_make(const char *user, const struct message_spec *names, struct bytes properties,
                             struct bytes body, char **objection, bool *impersonates);

/* Reads an expiration property.  False: why not is in *why, which the caller gives to free(). */
bool publish_read_expiration(struct bytes text, uint64_t *ms, char **why);
#endif
