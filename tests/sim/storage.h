/* A broker's disk and what keeps its records there: the real store over the fake disk (disk.h), with tiny files, and
 * what is between model and store in broker/store/keeper.c, at a pace that somebody else sets.
 *
 * Each function that moves something answers whether there was anything to do.  Afterwards the process may be dead: the
 * power has gone, or the disk has failed.  Then only storage_crash() makes sense, and storage_open() after it.
 */
#ifndef SIM_STORAGE_H
#define SIM_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/model/broker.h"
#include "broker/port/load.h"
#include "tests/sim/rng.h"

struct storage;

struct storage *storage_create(struct rng *rng); /* borrowed */
void storage_destroy(struct storage *s);

/* Recovers what is there, in spite of whatever happens on the way, and makes a broker of it. */
struct broker *storage_open(struct storage *s, const struct broker_config *config);

/* What the hub does with a step's records.  The sheaf is empty afterwards. */
void storage_keep(struct storage *s, struct sheaf *records);

bool storage_append(struct storage *s, bool all); /* records on their way → the store */
bool storage_write(struct storage *s);
bool storage_begin(struct storage *s); /* a sync: its owner, … */
bool storage_run(struct storage *s);   /* … the other thread, … */
bool storage_end(struct storage *s);   /* … and its owner again */
bool storage_tend(struct storage *s);
bool storage_is_dead(const struct storage *s);
bool storage_is_full(const struct storage *s); /* the last write found no room */

/* An answer to a LOAD, which the caller owns, or NULL. */
struct load *storage_take_load(struct storage *s);

uint64_t storage_durable(const struct storage *s);
uint64_t storage_durable_changes(const struct storage *s);

/* The disk is about to fail, to fill up or to lose its power; or: it is not, and there is room. */
void storage_trouble(struct storage *s);
void storage_calm(struct storage *s);

/* How the process ends.  All that was under way is dropped. */
void storage_crash(struct storage *s);

/* It ends in an orderly way: false if the disk did not allow that. */
bool storage_close(struct storage *s);

uint64_t storage_trace(const struct storage *s);
#endif
