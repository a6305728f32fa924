/* The store, alone with its disk: somebody who appends records as the model would, a sync thread that runs when the
 * seed says so, crashes at any moment; and the ledger of what was promised. */
#ifndef SIM_STORE_WORLD_H
#define SIM_STORE_WORLD_H

#include "broker/store/state.h"
#include "tests/sim/disk.h"
#include "tests/sim/naive.h"
#include "tests/sim/rng.h"

/* What may happen in this run. */
struct traits {
    bool fails, fills, rots, pins, hoards;
    uint32_t bodies;                /* 0: small ones … 3: also very large ones */
    uint32_t publish_odds;          /* of 100 */
    uint32_t crash_in, tend_budget; /* a crash in so many steps */
    uint32_t records_max;           /* of one sheaf */
};

struct ask {
    uint64_t queue, from;
    uint32_t messages_max, bytes_max;
};

enum { ASKS = 16, QUEUES = 8 };

struct world {
    struct rng rng;
    struct traits is;
    struct sim_disk *disk;
    struct store *store;

    /* What was promised. */
    struct naive base;        /* what the records before the log add up to */
    struct naive now;         /* what all add up to */
    struct naive_record *log; /* owned: in the order in which it is written */
    size_t n_log, log_room;
    uint64_t position, durable, durable_changes, queues, wall_ms;
    uint32_t letters;
    bool is_settled; /* nothing has happened on the disk since the last recovery that a crash could undo */

    /* Under way. */
    struct sheaf draft;
    uint64_t draft_position;
    struct ask asks[ASKS];
    size_t n_asks;
    struct load *answers[ASKS];
    size_t n_answers;
    struct sync_job job;
    enum { JOB_NONE, JOB_BEGUN, JOB_RUN, JOB_FAILED } job_state;
    bool is_full, may_publish, is_recovering;
    bool is_damaged, has_aside; /* has_aside: files that nobody knows were kept */
    unsigned crashes;
    bool was_closed;            /* cleanly, and nothing has happened since */
    uint64_t lost, lost_anyhow; /* messages, and items of nobody knows whom, that were reported */
    unsigned warnings;
    uint64_t pinned_queue, pinned_position; /* it is never settled */
};

/* store_work.c: what the model does. */
void work_append(struct world *w); /* a sheaf of anything */
void work_settle_all(struct world *w, bool but_pinned);
void work_traffic(struct world *w);  /* publishes, and hands out */
void work_thin_out(struct world *w); /* settles most, here and there */
void work_ask(struct world *w, struct naive_queue *q);
void world_remember(struct world *w, const struct naive_record *r);

/* store_order.c: after whatever may have written: puts the log in the order in which it was. */
void world_order(struct world *w);

/* store_check.c: what must be so. */
void check_answers(struct world *w, bool is_exact);
void check_recovered(struct world *w, bool is_all);
void check_damaged(struct world *w, bool is_marked); /* the journal said how much was durable */
void world_durable(struct world *w);

/* store_world.c */
struct world *world_create(uint64_t seed);
void world_destroy(struct world *w);
uint64_t world_run(uint64_t seed, unsigned steps);
void world_write(struct world *w);
void world_append(struct world *w, struct sheaf *records);
#endif
