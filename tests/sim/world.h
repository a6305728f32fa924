/* The world: clients, the sockets between them and real sessions, loops with their outboxes, and one real model, all
 * in one thread and at a pace that somebody else sets.  Each function moves one thing one step; what it has to move
 * arrives in order, whenever that is.
 *
 * A world may have a disk, with the real store on it and the real gate before it (storage.h).  Then the broker may end
 * at any moment, and another one goes on with what the disk has kept.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/client.h"
#include "tests/sim/ledger.h"
#include "tests/sim/rng.h"

enum { CLIENTS = 4, AUDITOR = CLIENTS, LOOPS = 2, CONNS = 24 };

struct world;

/* check: broker_check() after every step of the model. */
struct world *world_create(uint64_t seed, bool has_disk, bool check);
void world_destroy(struct world *w);

struct rng *world_rng(struct world *w);
struct ledger *world_ledger(struct world *w);
struct scroll *world_scroll(struct world *w);
struct client *world_client(struct world *w, unsigned number); /* AUDITOR too */
uint64_t world_now(const struct world *w);

/* Hashes everything that clients were sent and the model has handed out. */
uint64_t world_trace(const struct world *w);

/* Each answers whether there was anything to do. */
bool world_connect(struct world *w, unsigned client);
bool world_upload(struct world *w, unsigned client, bool all);   /* bytes → session */
bool world_download(struct world *w, unsigned client, bool all); /* session → bytes, which the client reads */
bool world_post(struct world *w, unsigned loop);                 /* a loop's turn: sessions' turns, outbox → hub */
bool world_step(struct world *w, unsigned loop);                 /* the loop's oldest batch → model → events */
bool world_hand(struct world *w, unsigned loop, bool all);       /* events → sessions */
bool world_sync(struct world *w, bool all);                      /* confirms that waited for the disk go on */
bool world_expire(struct world *w);                              /* the model does what has fallen due */
void world_pass(struct world *w, uint64_t ms);

/* Of a world with a disk.  After each of them, and whatever they are called by, the broker may be another one. */
bool world_has_disk(const struct world *w);
bool world_append(struct world *w, bool all); /* records → store */
bool world_write(struct world *w);
bool world_sync_begin(struct world *w);
bool world_sync_run(struct world *w);
bool world_sync_end(struct world *w); /* events that waited go on */
bool world_tend(struct world *w);
bool world_load(struct world *w, bool all); /* what was cold → model → events */
void world_trouble(struct world *w);        /* for the disk, soon */
void world_calm(struct world *w);           /* none any more */
void world_crash(struct world *w);
void world_stop(struct world *w);            /* in an orderly way, and the start after it */
unsigned world_lives(const struct world *w); /* how many brokers there were */
void world_look(struct world *w);            /* cuts and closes sockets, ends sessions */

/* Moves everything until nothing moves; dies if that takes too long. */
void world_settle(struct world *w);

/* When the world is settled: connections that are not the auditor's. */
unsigned world_connections(const struct world *w);

/* Dies unless the model is empty but for queues. */
void world_check_empty(const struct world *w);
#endif
