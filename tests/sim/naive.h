/* What a store should know, the naive way: arrays and linear search, written from broker/port/record.h alone.
 *
 * A state is what a prefix of the records adds up to.  A letter is a message by its number: everything in it follows
 * from that.
 */
#ifndef SIM_NAIVE_H
#define SIM_NAIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/load.h"
#include "broker/port/record.h"

struct letter {
    uint32_t number, size; /* size of its body */
};

struct message *letter_message(struct letter l);
/* Is it that message, with every byte? */
bool letter_is(struct letter l, const struct message *m);
/* Which it claims to be; number 0: none. */
struct letter letter_of(const struct message *m);
uint64_t letter_ttl(struct letter l);

struct naive_entry {
    uint64_t position, wall_ms;
    struct letter letter;
    bool is_out, redelivered;
    unsigned deliveries;
};

struct naive_queue {
    uint64_t id, next_position;
    bool is_defined;
    struct naive_entry *entries; /* owned, by position */
    size_t n, room;
};

struct naive_definition {
    enum definition_class what;
    uint64_t queue;
    uint32_t key, value; /* as text: a letter and the number */
};

struct naive {
    struct naive_queue *queues; /* owned, in the order in which they came */
    size_t n_queues, queues_room;
    struct naive_definition *definitions; /* owned, likewise */
    size_t n_definitions, definitions_room;
    uint64_t queue_max; /* the highest number that any queue had */
};

/* A record, as it was appended. */
struct naive_record {
    uint8_t kind; /* enum record_kind, or NAIVE_RESTART */
    bool tx;
    bool is_suspect; /* RESTART: the end was not clean: anything may have been delivered */
    uint32_t n_places;
    struct place *places; /* owned */
    struct place at;
    struct letter letter;
    struct naive_definition definition;
    uint64_t position, wall_ms;
};

enum { NAIVE_RESTART = 64 /* nobody holds anything any more; queues that are not defined are gone */ };

void naive_init(struct naive *s);
void naive_fini(struct naive *s);
void naive_copy(struct naive *to, const struct naive *from);

struct naive_queue *naive_find(struct naive *s, uint64_t id);
struct naive_entry *naive_entry(struct naive_queue *q, uint64_t position);
void naive_apply(struct naive *s, const struct naive_record *r);
void naive_restart(struct naive *s, bool is_suspect);

/* For building one by hand. */
struct naive_queue *naive_add_queue(struct naive *s, uint64_t id);
struct naive_entry *naive_add_entry(struct naive_queue *q, uint64_t position, struct letter l);
void naive_define(struct naive *s, const struct naive_definition *d);

/* NULL, or what is different between what was found and what should be, once nobody holds anything.  is_suspect: all is
 * redelivered. */
const char *naive_differs(const struct naive *found, const struct naive *should, bool is_suspect);

struct bytes naive_text(char to[16], char kind, uint32_t number);
#endif
