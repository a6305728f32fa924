/* Reply addresses (port/reply.h).  To routing and delivery an address is a queue; to everybody else it is not there: no
 * list shows it, no limit counts it, no policy applies to it, no record tells of it.  It belongs to one client, has one
 * consumer, which acknowledges nothing, and goes with it.  What comes while that client does not read waits, up to
 * REPLY_BACKLOG_MAX bytes of bodies, and no more than a few messages and twice as many bytes with all that is around
 * them; beyond that the oldest are dropped, for replies are delivered at most once.
 */
#ifndef BROKER_MODEL_REPLY_H
#define BROKER_MODEL_REPLY_H

#include "base/bytes.h"

struct broker;
struct command;
struct queue;
struct stream;
struct vhost;

enum {
    REPLY_BACKLOG_MAX = 16 << 20,
    REPLY_BACKLOG_MESSAGES_MAX = 16 << 10,
    REPLY_BACKLOG_COST_MAX = 2 * REPLY_BACKLOG_MAX, /* of message_cost() */
};

/* The queue behind an address, or NULL. */
struct queue *reply_find(const struct broker *b, const struct vhost *v, struct bytes address);

/* SUBSCRIBE with spec->is_reply, and DECLARE_QUEUE of a name of this kind: is there somebody who would get a reply? */
void reply_subscribe(struct broker *b, struct command *c, struct stream *s);
void reply_declare(struct broker *b, struct command *c, struct stream *s);

/* BIND, UNBIND, SUBSCRIBE of an address by its name: true, and the command has failed, if that cannot be. */
bool reply_refuses_binding(struct broker *b, struct command *c);
bool reply_refuses_consumer(struct broker *b, struct command *c, struct stream *s);
#endif
