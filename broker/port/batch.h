/* Commands on their way to the hub: an outbox fills batches of at most BATCH_MAX, and its owner posts them when a turn
 * of its loop is over (DESIGN section 3: batch or lose). */
#ifndef BROKER_PORT_BATCH_H
#define BROKER_PORT_BATCH_H

#include <stddef.h>

#include "broker/port/command.h"

enum { BATCH_MAX = 256, OUTBOX_SPARE_MAX = 16 };

struct batch {
    struct batch *next;
    unsigned n;
    struct command commands[BATCH_MAX];
};

/* One thread's: filled by its sessions, emptied by its loop. */
struct outbox {
    struct batch *first, *last; /* owned: what is to be posted, oldest first */
    struct batch *spare;        /* owned: empty ones, to be used again */
    unsigned spares;
};

void outbox_init(struct outbox *o);
void outbox_fini(struct outbox *o); /* drops what is in it */

/* A new last batch. */
struct batch *outbox_extend(struct outbox *o);

/* Room for one more command, zeroed but for verb, origin and cookie, which the caller says.  (The origin member by
 * member: see broker_tell() in broker/model/state.h.) */
static inline struct command *outbox_add(struct outbox *o, enum verb verb, struct origin from, uint64_t cookie)
{
    struct batch *b = o->last;
    if (b == NULL || b->n == BATCH_MAX)
        b = outbox_extend(o);
    struct command *c = &b->commands[b->n++];
    *c = (struct command){.verb = verb, .cookie = cookie};
    c->from.outlet.slot = from.outlet.slot;
    c->from.outlet.generation = from.outlet.generation;
    c->from.stream = from.stream;
    c->from.channel = from.channel;
    return c;
}

/* All batches, oldest first, or NULL; the outbox is empty then. */
struct batch *outbox_take(struct outbox *o);

/* Gives an empty batch back, to be filled again.  What its commands owned has moved on. */
void outbox_give(struct outbox *o, struct batch *b);

/* Frees batches, with what their commands own; NULL is allowed. */
void batches_drop(struct batch *first);
#endif
