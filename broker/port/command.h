/* What a session (or the admin API) may ask of the model.  Plain data: a batch of these is all that crosses.
 *
 * Commands of one outlet are carried out in order.  A command that is answered is answered by exactly one DONE or
 * FAILED (GET: also GOT or EMPTY), unless its stream is poisoned: after FAILED the model ignores a stream's commands
 * until RESET, so what was under way behind an exception vanishes, as AMQP wants.
 */
#ifndef BROKER_PORT_COMMAND_H
#define BROKER_PORT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/port/ids.h"

struct changes;
struct inspection;
struct load;
struct message;
struct move;
struct report;
struct samples;
struct spec;
struct tx;

enum verb {
    ATTACH, /* spec: name is the virtual host, source the user, serial as LOGIN said, arguments a table of what listings
               show (amqp/session.h, struct session_peer).  A client begins.  Answered; DONE says whether OPEN
               is to be asked. */
    DETACH, /* it ends: everything it has out is requeued, its exclusive queues go.  Answered by DETACHED, its last. */
    RESET,  /* a stream ends, or its poison is taken off: what it has out is requeued, its consumers go.  Answered. */
    ECHO,   /* nothing but an answer in its turn.  Answered. */
    WINDOW, /* the client's socket has taken so many bytes of deliveries (message_window_cost) */
    REPORT, /* what it has read and written so far (port/sample.h), for listings.  Not answered. */
    PACE,   /* it has published what SLOWED let it, and waits to be let more.  Answered by SLOWED. */
    DECLARE_EXCHANGE, /* spec.  Answered. */
    DELETE_EXCHANGE,  /* spec: name, if_unused.  Answered. */
    DECLARE_QUEUE,    /* spec.  Answered, with counts. */
    DELETE_QUEUE,     /* spec: name, if_unused, if_empty.  Answered, with count. */
    PURGE_QUEUE,      /* spec: name.  Answered, with count. */
    BIND,             /* spec: name, source, key, arguments, to_exchange.  Answered. */
    UNBIND,           /* likewise.  Answered. */
    PUBLISH,          /* not answered, but may FAIL; CONFIRMED or REFUSED if it asks for that; RETURNED if mandatory */
    SUBSCRIBE,        /* spec: name is the queue.  Answered; deliveries follow the answer. */
    UNSUBSCRIBE,      /* spec may be given to have it back.  Answered, also if there is no such consumer. */
    LIMIT,            /* another limit for a consumer, which may be gone.  Not answered. */
    CREDIT,           /* how much the stream's consumers together may have out; 0: no limit.  Answered. */
    GET,              /* spec: name, no_ack.  Answered by GOT or EMPTY. */
    SETTLE,           /* not answered; a ticket that is not out any more is no error */
    RECOVER,          /* requeues all the stream has out.  Answered, and the redeliveries follow the answer. */
    COMMIT,           /* publishes and settles, carried out in one step, all or nothing.  Answered. */
    ROLLBACK,         /* forgets where publishes that were held would have gone.  Answered. */
    LOADED,           /* what a RECORD_LOAD asked for; from nobody.  Not answered. */
    LOGIN, /* spec: name is a user, of whom the arguments of its definition and its serial come back.  A client may ask
              before it begins.  Answered by DONE, also if there is no such user. */
    OPEN,  /* the user's channels are counted: a stream begins.  Answered. */
    /* From a desk (ids.h), which has no streams, and is never poisoned. */
    ALTER,    /* changes: all or none of them.  Answered: DONE with what became of each, FAILED if one is wrong. */
    INSPECT,  /* inspection: a page of a list.  Answered. */
    SAMPLE,   /* samples: what has been counted since the last.  Answered. */
    MOVE,     /* move: a few messages from a queue to where it says.  Answered. */
    PREFETCH, /* spec: name of a connection, key the tag of a consumer; channel; limit.  Answered: messages is how many
                 consumers have it now. */
    CANCEL,   /* spec, likewise; channel: the consumer ends, and its client is told.  Answered: messages is how many. */
    EXPEL,    /* spec: name of a connection, source a user, vhost; empty: any; objection is what its client is told.
                 limit: of how many at most, 0: all.  Answered: messages is how many. */
} __attribute__((packed));

enum outcome {
    ACCEPTED,    /* done with */
    REQUEUED,    /* back to its place in the queue, and not without a reason: it failed there, or who had it did */
    HANDED_BACK, /* the same without one */
    REJECTED,    /* dropped, or dead-lettered */
    HELD, /* settled by an open transaction: it stays out, and RECOVER leaves it alone, until COMMIT or ROLLBACK */
};

/* Tickets of one SETTLE at most: a batch is bounded by its commands, so they must be. */
enum { SETTLE_MORE_MAX = 31 };

/* What a connection may have out unwritten before deliveries to it pause, in message_window_cost() bytes. */
enum { WINDOW_BYTES = 1 << 20 };

struct command {
    enum verb verb;
    struct origin from;
    uint64_t cookie; /* the asker's own; comes back unread with the answer */
    union {
        struct spec *spec; /* moves to the model, and back with DONE: LOGIN, ATTACH, ECHO, DECLARE_…, DELETE_…, PURGE,
                              (UN)BIND */
        struct {
            struct spec *spec; /* moves, and back */
            uint32_t limit;
        } expel;
        struct {
            struct message *msg; /* a reference moves to the model */
            char *
                objection; /* moves: why the session refuses it, said after the model's own checks; NULL: it does not */
            bool mandatory, confirm;
            bool impersonates; /* the objection is that it names another user: some may */
            bool hold; /* check and route it and no more; where it goes is kept for COMMIT, which brings it again */
        } publish;
        struct {
            struct spec *spec; /* moves, and back */
            uint32_t consumer; /* the session's number for it, dense from 0, free again after its end */
            uint32_t limit;    /* how much it may have out; 0: no limit */
        } subscribe;           /* and UNSUBSCRIBE; LIMIT without spec */
        struct {
            struct spec *spec; /* moves, and back */
            uint32_t limit;
            uint16_t channel;
        } prefetch; /* and CANCEL, without limit */
        struct {
            uint32_t limit;
            uint32_t prefetch; /* for listings: the limit of consumers that are still to come */
        } credit;
        struct {
            ticket ticket;
            enum outcome outcome;
            uint32_t more_count; /* and so many other tickets likewise, in this order */
            ticket *more;        /* moves to the model; NULL: none */
        } settle;
        struct {
            uint64_t bytes;
        } window;
        struct tx *tx;                 /* moves to the model, which frees it with tx_destroy() */
        struct load *load;             /* LOADED: moves to the model */
        struct changes *changes;       /* ALTER: moves to the model, and back */
        struct inspection *inspection; /* INSPECT: likewise */
        struct move *move;             /* MOVE: likewise */
        struct samples *samples;       /* SAMPLE: likewise */
        struct report *report;         /* REPORT: moves to the model */
    };
};

/* A transaction: PUBLISH and SETTLE commands, in order. */
struct tx {
    size_t n, capacity;
    size_t publishes;         /* of those n */
    uint64_t bytes;           /* message_cost() of its publishes */
    struct command *commands; /* owned, with what they own */
};

/* Frees what a command owns, for whoever has to drop one. */
void command_drop(struct command *c);
void tx_destroy(struct tx *t); /* NULL is allowed */
#endif
