/* A disk in memory for the store (broker/store/disk.h; reliability H4), which forgets, tears, rots, fails and fills up
 * as the seed says.
 *
 * Every file has bytes as they are now and as they would be found after a power cut; so have the names.  Syncing a file
 * does not keep its name, syncing the folder does.  A file that gets another name keeps its old bytes.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/disk.h"
#include "tests/sim/rng.h"

struct sim_disk;

/* What a crash leaves of what was not synced. */
enum crash {
    CRASH_KILL,     /* all of it: only the process ended */
    CRASH_CUT,      /* nothing */
    CRASH_CUT_SOME, /* some of its pages and names, in any order */
    CRASH_TEAR,     /* everything but the end of the last write */
    CRASH_KINDS
};

struct sim_disk *sim_disk_create(struct rng *rng); /* borrowed */
void sim_disk_destroy(struct sim_disk *d);
struct disk *sim_disk_table(struct sim_disk *d);

/* Called within a call, before it does anything: another thread may do something here. */
void sim_disk_between(struct sim_disk *d, void (*call)(void *arg), void *arg);

/* The power goes off in the n-th call that changes something from now on; 0: it stays on. */
void sim_disk_cut(struct sim_disk *d, uint64_t n);
bool sim_disk_is_off(const struct sim_disk *d);

/* The n-th call from now on that may fail answers error; 0: none does. */
enum disk_fault { FAULT_ANY, FAULT_SYNC, FAULT_WRITE, FAULT_NAME };
void sim_disk_fail(struct sim_disk *d, enum disk_fault what, uint64_t n, int error);
bool sim_disk_has_failed(const struct sim_disk *d);

/* Can files be written past the cache (DISK_DIRECT)?  At random, as of the next open: those that were opened may still
 * be told that they cannot. */
enum direct { DIRECT_AT_RANDOM, DIRECT_ALWAYS, DIRECT_NEVER, DIRECT_AT_FIRST /* to be opened, not to be written */ };
void sim_disk_direct(struct sim_disk *d, enum direct how);

/* Room for so many bytes; 0: plenty. */
void sim_disk_limit(struct sim_disk *d, uint64_t bytes);
uint64_t sim_disk_used(const struct sim_disk *d);

/* Power is back, nothing is open. */
void sim_disk_restart(struct sim_disk *d, enum crash how);

/* Damages what is there: some bits, or a block that becomes zeroes.  Answers where; len 0: there is nothing. */
struct rot {
    const char *name; /* of the file */
    size_t at, len;
};
struct rot sim_disk_rot(struct sim_disk *d);

/* A number that depends on every call so far and what was written. */
uint64_t sim_disk_trace(const struct sim_disk *d);
unsigned sim_disk_open_files(const struct sim_disk *d);
void sim_disk_print(const struct sim_disk *d);
#endif
