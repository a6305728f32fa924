/* What every command about a named thing checks first, in the order of reference amqp-protocol 4.7, and the words for
 * it.  Those that answer a pointer have failed the command, freed its spec, and poisoned the stream when it is NULL. */
#ifndef BROKER_MODEL_RESOURCE_H
#define BROKER_MODEL_RESOURCE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "broker/port/event.h"

struct broker;
struct command;
struct exchange;
struct queue;
struct spec;
struct stream;
struct vhost;

/* Fails the command: text may be NULL, then it is made of format.  Frees spec. */
void resource_fail(struct broker *b, struct command *c, struct spec *spec, enum reason reason, char *text);

/* The queue that spec names, which this client may use. */
struct queue *resource_queue(struct broker *b, struct command *c, struct stream *s, struct spec *spec);

/* Likewise, without the look at exclusivity. */
struct queue *resource_any_queue(struct broker *b, struct command *c, struct stream *s, struct spec *spec);

/* False: q is exclusive to another client. */
bool resource_unlocked(struct broker *b, struct command *c, struct stream *s, struct spec *spec, struct queue *q);

/* NULL, or why the virtual host can have no other queue, of that name; on the heap. */
char *resource_refuse_queue(const struct vhost *v, struct bytes name);

/* Likewise no other exchange, of that name, and no other binding. */
char *resource_refuse_exchange(const struct vhost *v, struct bytes name);
char *resource_refuse_binding(const struct vhost *v);
char *resource_refuse_alternate(const struct vhost *v, const struct spec *spec); /* that is no name */

/* NULL, or the text of the first difference that matters between what is declared and what there is (reference
 * amqp-protocol 4.6, 6.3); on the heap. */
char *queue_differs(const struct queue *q, const struct spec *spec);
char *exchange_differs(const struct exchange *x, const struct spec *spec);
#endif
