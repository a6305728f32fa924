/* Schedules: which of a queue's messages fall due when, and where each of them is.
 *
 * A message takes a slot of 24 bytes, by position, and 4 bytes in a heap, by time; its body need not be in memory.
 * Positions are added in rising order, so a slot is found by a binary search and slots are walked in order of
 * publication.  What is removed leaves a dead slot behind; when those are more than half, they are squeezed out, so
 * that every operation is O(log n) in the mean.
 */
#ifndef BROKER_MODEL_SCHEDULE_H
#define BROKER_MODEL_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;

struct due {
    int64_t due_ms; /* instant.ms; what is overdue at the start is due before 0 */
    uint64_t position : 62;
    bool is_dead : 1;
    bool is_warm : 1;
    union {
        struct entry *entry; /* warm: the message is in memory */
        uint64_t bytes;      /* else: of its body */
    };
};

struct schedule {
    struct due *slots; /* owned: by position, the dead ones among them */
    uint32_t *heap;    /* owned: indices of slots, the next to fall due first; the dead ones among them */
    size_t n, capacity;
    size_t first; /* slots before this one are dead */
    size_t live;
    size_t heap_n, heap_capacity;
};

void schedule_init(struct schedule *s);
void schedule_fini(struct schedule *s); /* forgets the entries */

/* Another message, behind all others; it is not warm yet. */
struct due *schedule_add(struct schedule *s, uint64_t position, int64_t due_ms, uint64_t bytes);

/* The message is in memory from now on. */
void schedule_warm(struct due *slot, struct entry *e);

/* The next to fall due, of those that do so at the same time the one that was published first; NULL: there is none.
 * A slot is where it is until something is added or removed. */
struct due *schedule_top(struct schedule *s);

/* The one at that position, or NULL. */
struct due *schedule_find(struct schedule *s, uint64_t position);

/* The first at or behind a position, or NULL; and the next one behind a slot. */
struct due *schedule_from(struct schedule *s, uint64_t position);
struct due *schedule_next(struct schedule *s, struct due *slot);

/* The message is not there any more. */
void schedule_remove(struct schedule *s, struct due *slot);

/* Widens *from … *to, a range of positions that is one now, to slots beside it that are due by now_ms and not warm, as
 * far as nothing else is between them: about so many. */
void schedule_widen(struct schedule *s, int64_t now_ms, unsigned count, uint64_t *from, uint64_t *to);

/* Dies if it is not as above. */
void schedule_check(const struct schedule *s);
#endif
