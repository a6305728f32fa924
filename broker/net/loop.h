/* A network loop: many connections on one thread.  A turn reads what sockets have, hands the commands to the hub, gives
 * events to sessions, and writes.
 *
 * Without threads its turn includes the hub's; with them it posts mails to the hub and finds mails in its own lane.  It
 * stops reading while too much is under way to the hub: loops may wait, the hub never does.
 */
#ifndef BROKER_NET_LOOP_H
#define BROKER_NET_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "amqp/session.h"
#include "base/lane.h"
#include "broker/net/hub.h"
#include "broker/net/peer.h"
#include "broker/net/poller.h"

struct loop;

enum {
    LOOPS_MAX = 64,
    LOOP_BATCHES_MAX = 64, /* under way to the hub before the loop waits for it */
    LOOP_LOOK_MS = 2,      /* while there is something to read sockets are not looked at more often */
    LOOP_ROUNDS = 4,       /* of hub and sessions before sockets are looked at again; without threads */
    LOOP_MAILS_SPARE = 16, /* empty mails that are kept for use */
    LOOP_GRACE_MS = 3000,  /* for clients to answer when the broker stops; then their sockets are closed */
    LOOP_STOP_MS = 9000,   /* for all of it */
};

/* What the loops of a broker have in common; outlives them. */
struct loop_shared {
    const struct session_config *session; /* borrowed */
    struct hub *hub;                      /* borrowed */
    unsigned n_loops;
    bool has_threads;
    atomic_uint connections;       /* sockets that are open, or on their way to a loop */
    atomic_uint guests[LOOPS_MAX]; /* by loop: connections that have not logged in, those on their way included */
};

struct loop *loop_create(struct loop_shared *shared, unsigned number);
void loop_destroy(struct loop *l); /* after hub_stop() */

/* Runs until it was stopped and all its connections have ended; false if some have not, and time was up.  Then it tells
 * the first loop, which does not end before all others have. */
bool loop_run(struct loop *l, struct loop *first);

struct lane *loop_lane(struct loop *l);     /* any thread may post there */
struct poller *loop_poller(struct loop *l); /* for its own thread */

/* On its own thread: takes over a connection; closes all connections in an orderly manner and ends; ends at once. */
void loop_welcome(struct loop *l, struct stranger *s); /* keeps only what is in it */
void loop_stop(struct loop *l);
void loop_hurry(struct loop *l);

/* Whether it had better get another connection; any thread. */
bool loop_has_room(struct loop_shared *shared, unsigned number);
#endif
