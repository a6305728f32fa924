/* What the world consists of: for its own modules, world.c (its beginning and its sockets), world_hub.c (what the model
 * is told and hands out) and world_disk.c (the storage, and how brokers end and begin). */
#ifndef SIM_WORLD_STATE_H
#define SIM_WORLD_STATE_H

#include "amqp/session.h"
#include "base/check.h"
#include "broker/model/broker.h"
#include "broker/net/gate.h"
#include "broker/port/batch.h"
#include "tests/sim/storage.h"
#include "tests/sim/world.h"

enum { NUMBERS = 4096 /* of consumers: the session's */, STREAMS = 2 * CHANNELS /* new ones beside those that end */ };

/* Which queue an answer to GET is from: that of the oldest command of its stream that is not answered. */
struct asked_get {
    uint16_t stream;
    uint8_t queue;
    bool is_reset; /* or a RESET: what was asked before it is answered before it, or never */
};

struct conn {
    struct session *session; /* owned; NULL: the slot is free */
    struct client *client;   /* borrowed; NULL once the socket is closed */
    uint32_t generation, number;
    unsigned loop;
    struct buf in;                 /* came out of the socket, not taken yet */
    bool is_detached;              /* its last event has been sent */
    int64_t window;                /* what the model may still send */
    uint8_t queue_of[NUMBERS];     /* consumers' queues, by the session's number */
    uint64_t told_to_end[STREAMS]; /* by stream: the last step in which something of it was */
    struct asked_get *gets;        /* owned: oldest first */
    size_t n_gets;
};

/* Events on their way, oldest first. */
struct line_of_events {
    struct event *at; /* owned */
    size_t head, end, capacity;
};

struct loop {
    struct outbox outbox;
    struct batch *first, *last; /* owned: posted, oldest first */
    struct line_of_events events;
};

struct world {
    struct rng rng, names;
    struct topology topology;
    struct ledger *ledger; /* owned */
    struct scroll *scroll; /* owned */
    struct client clients[CLIENTS + 1];
    struct conn conns[CONNS];
    struct conn *of_client[CLIENTS + 1]; /* NULL: none */
    struct loop loops[LOOPS];
    struct session_config config;
    struct broker *broker; /* owned */
    struct effects effects;
    struct instant now;
    uint32_t connections, publishers;
    uint64_t trace;
    struct line_of_events gate; /* confirms that wait for a disk which is not there */
    bool check;

    /* With a disk. */
    struct storage *storage; /* owned; NULL: there is none */
    struct broker_config broker_config;
    struct gate real_gate;
    uint64_t position; /* records so far, of this broker */
    uint64_t boot_ms;  /* when it began */
    unsigned lives, alarms;
    struct {
        uint32_t connection, consumer; /* connection 0: none yet */
        uint16_t stream;
        uint64_t since; /* step */
    } active;           /* of Q_SINGLE, which alone is given anything */
    uint64_t steps;     /* of the model */
    bool is_exact;      /* all is durable: what was there is there again */
};
/* The socket is closed, by whomever. */
void world_close_socket(struct world *w, struct conn *conn);

/* The model carries these out; what it answers is looked at, and on its way. */
void world_commands(struct world *w, struct command *commands, size_t n);

/* An event may leave. */
void world_pass_on(struct world *w, struct event *e);

/* All that the disk has to do, now. */
bool world_keep_all(struct world *w);
#endif
