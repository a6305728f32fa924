/* Changing exchanges, queues and bindings at an administrator's word: what alter.c leaves to alter_topology.c. */
#ifndef BROKER_MODEL_ALTER_H
#define BROKER_MODEL_ALTER_H

#include "broker/port/event.h"

struct broker;
struct change;

/* NULL, or why it can never be made so, whatever there is: *why says what kind of reason; on the heap. */
char *alter_refuse_topology(const struct change *c, enum reason *why);

/* Carries it out, or skips it and says why; its virtual host exists. */
void alter_topology(struct broker *b, struct change *c);
#endif
