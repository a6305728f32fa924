/* A pile: what waits in a queue far behind its head, in as little memory as that takes: 16 bytes a message.
 *
 * It is for messages about which there is nothing to know but their place: no deadline, no priority, no group, no key.
 * They become entries again, a few at a time, when those before them have gone (queue_ordinary.c).
 */
#ifndef BROKER_MODEL_PILE_H
#define BROKER_MODEL_PILE_H

#include <stdbool.h>
#include <stdint.h>

struct message;

enum {
    PILE_FROM = 64,   /* messages that a queue has as entries before it begins a pile */
    PILE_THAW = 32,   /* that become entries at once */
    PILE_CHUNK = 255, /* messages of one allocation */
};

#define PILE_POSITION_MAX (UINT64_MAX >> 1)

struct piled {
    struct message *msg; /* shared */
    uint64_t position : 63;
    uint64_t stored : 1; /* there is a record of it */
};

struct pile_chunk {
    struct pile_chunk *next;
    uint64_t from, to; /* at[from] to at[to - 1] are there */
    struct piled at[PILE_CHUNK];
};

struct pile {
    struct pile_chunk *first, *last; /* owned */
    uint64_t count;
};

void pile_init(struct pile *p);
void pile_fini(struct pile *p); /* is empty */

/* Behind all others. */
void pile_add(struct pile *p, struct piled piled);

/* The first; there must be one. */
struct piled pile_take(struct pile *p);

/* Every one of them, in order. */
#define pile_each(piled, pile)                                                                                         \
    for (const struct pile_chunk *c_ = (pile)->first; c_ != NULL; c_ = c_->next)                                       \
        for (const struct piled *piled = &c_->at[c_->from]; piled < &c_->at[c_->to]; piled++)
#endif
