/* A pile: what waits in a queue far behind its head, in as little memory as that takes: 8 bytes a message.
 *
 * It is for messages about which there is nothing to know but their place: no priority, no group, no key, and no
 * deadline but the one that all messages of their queue have.
 * They become entries again, a few at a time, when those before them have gone (queue_ordinary.c).  Their positions
 * mostly follow one another, so one is kept for many.
 */
#ifndef BROKER_MODEL_PILE_H
#define BROKER_MODEL_PILE_H

#include <stdbool.h>
#include <stdint.h>

struct message;

enum {
    PILE_FROM = 64,                 /* messages that a queue has as entries before it begins a pile */
    PILE_THAW = 32,                 /* that become entries at once */
    PILE_CHUNK = 509,               /* messages of one allocation */
    PILED_COST = sizeof(uintptr_t), /* bytes of memory that each takes besides itself */
};

struct piled {
    struct message *msg; /* shared */
    uint64_t position;
    bool stored; /* there is a record of it */
};

struct pile_chunk {
    struct pile_chunk *next;
    uint64_t position;        /* of at[0]: each of the others has the next one */
    uint32_t from, to;        /* at[from] to at[to - 1] are there */
    uintptr_t at[PILE_CHUNK]; /* messages, and whether they are stored */
};

struct pile {
    struct pile_chunk *first, *last; /* owned */
    uint64_t count;
    uint64_t stored_count,
        stored_bytes; /* of those that there are records of, and of their bodies: its owner's to keep */
};

void pile_init(struct pile *p);
void pile_fini(struct pile *p); /* is empty */

/* Behind all others. */
void pile_add(struct pile *p, struct piled piled);

/* The first; there must be one. */
struct piled pile_take(struct pile *p);

/* All that is in the other one lies behind what is in this one.  Nothing more may be added: positions begin anew. */
void pile_take_all(struct pile *p, struct pile *from);

/* What lies at c->at[i]. */
static inline struct piled pile_at(const struct pile_chunk *c, uint32_t i)
{
    return (struct piled){.msg = (struct message *)(c->at[i] & ~(uintptr_t)1), // NOLINT(performance-no-int-to-ptr)
                          .position = c->position + i,
                          .stored = c->at[i] & 1};
}

/* Calls each for all of them, in order. */
void pile_each(const struct pile *p, void (*each)(void *arg, const struct piled *piled), void *arg);
#endif
