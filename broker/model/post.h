/* What the broker itself publishes: copies for the firehose, events.  It goes to an exchange that nobody can delete,
 * and is routed when all else that the command caused is done. */
#ifndef BROKER_MODEL_POST_H
#define BROKER_MODEL_POST_H

struct broker;
struct exchange;
struct message;

/* Takes the reference. */
void post_later(struct broker *b, struct exchange *x, struct message *m);

/* Routes what is still to be, in the order it came, which may leave more to be; drops it. */
void post_route_all(struct broker *b);
void post_drop_all(struct broker *b);
#endif
