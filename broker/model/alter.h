/* Changing exchanges, queues and bindings at an administrator's word: what alter.c leaves to alter_topology.c. */
#ifndef BROKER_MODEL_ALTER_H
#define BROKER_MODEL_ALTER_H

#include <stdbool.h>

#include "broker/port/event.h"

struct broker;
struct change;
struct changes;
struct vhost;

/* NULL, or why it can never be made so, whatever there is: *why says what kind of reason; on the heap. */
char *alter_refuse_topology(const struct change *c, enum reason *why);

/* Carries it out, or skips it and says why; its virtual host exists. */
void alter_topology(struct broker *b, struct change *c);

/* NULL, or why an exchange, queue or binding cannot be put there now; on the heap.  *is_there: it is so already. */
char *alter_refuse_put(struct broker *b, struct vhost *v, const struct change *c, bool *is_there);

/* Says of every change that puts something what would become of it (rehearse.c). */
void alter_rehearse(struct broker *b, struct changes *all);
#endif
