/* A naive store: keeps what the model wants remembered in lists, answers its loads, and can fill another model from it.
 * It dies of records that make no sense: of what it does not know, or twice, or out of order. */
#ifndef TESTS_UNIT_KEEPSAKE_H
#define TESTS_UNIT_KEEPSAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "broker/model/broker.h"
#include "broker/port/load.h"
#include "broker/port/record.h"

struct keepsake {
    struct list queues;      /* struct kept_queue */
    struct list definitions; /* struct kept_definition, in the order in which they were made */
    struct list loads;       /* struct kept_load: answers that nobody has fetched yet */
    uint64_t position;       /* of the last record */
    uint64_t next_queue;
};

void keepsake_init(struct keepsake *k);
void keepsake_fini(struct keepsake *k);

/* Applies the records, and clears the sheaf. */
void keepsake_take(struct keepsake *k, struct sheaf *records);

/* The answer to the next load, as of when it was asked for; the caller owns it.  NULL: none. */
struct load *keepsake_load(struct keepsake *k);

/* The message there cannot be read any more: the loads that come report it. */
void keepsake_lose(struct keepsake *k, uint64_t queue, uint64_t position);

/* As after a restart: what is transient is gone, whatever was out is back.  Then fills a new broker. */
void keepsake_restart(struct keepsake *k);
void keepsake_restore(const struct keepsake *k, struct broker *b);

/* How many messages it has of a queue; 0 also if it does not know it. */
uint64_t keepsake_count(const struct keepsake *k, uint64_t queue);

/* The number of the queue of that name, 0: none. */
uint64_t keepsake_queue(const struct keepsake *k, const char *name);

/* How many definitions of that class there are. */
size_t keepsake_definitions(const struct keepsake *k, enum definition_class what);

/* The records from the given one on in words, one after the other with a comma between them; the caller frees it:
 *     "publish 1:0 2:0, deliver 1:0, tx settle 1:0, commit" */
char *keepsake_spell(const struct sheaf *records, size_t from);
#endif
