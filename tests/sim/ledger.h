/* The oracle (reliability H1): a deliberately naive account of every message, written from the specification.
 *
 * It is told what clients send and read, and what the model hands out and when; it says at once, or at the end, which
 * promise was broken.  A message goes to one or two queues; in each it has a line of copies: the n-th is the one after
 * n deaths, and the topology says in which queue that is.  What a client has asked for is in doubt until an answer to
 * a later request proves that it was carried out.
 *
 * When the broker ends, what is sure divides: what was confirmed or is durable by then stays as it is, everything else
 * that has happened since may or may not have happened.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/command.h"
#include "tests/sim/topology.h"

struct ledger;

struct ledger *ledger_create(const struct topology *t);
void ledger_destroy(struct ledger *l);

enum standing {
    STANDING_NEVER, /* nobody may ever see it: behind an error, rolled back, refused */
    STANDING_SENT,  /* it may appear or not */
    STANDING_SURE,  /* confirmed, or proven otherwise: it must not get lost */
};

struct publishing {
    uint32_t publisher, sequence; /* publishers are channels; sequences go up */
    uint8_t targets[2];           /* queues; NO_QUEUE: none */
    uint32_t ttl_ms;              /* the message's own; 0: none */
    enum standing standing;
    bool is_transient; /* it may vanish when the broker ends */
    uint8_t priority;  /* as sent; 0: none */
    uint32_t delay_ms; /* it comes into its queue so much later */
};

/* Answers the message's number, which its body carries. */
uint32_t ledger_publish(struct ledger *l, const struct publishing *p, uint64_t now);
void ledger_stands(struct ledger *l, uint32_t message, enum standing standing, uint64_t now);

/* The broker has confirmed it: it stands, whatever happens. */
void ledger_confirmed(struct ledger *l, uint32_t message, uint64_t now);

/* A full queue has refused it: dies unless that is possible. */
void ledger_refused(struct ledger *l, uint32_t message);

/* One delivery, or one answer to get. */
struct handout {
    uint32_t message, generation; /* generation: how many deaths its history counts */
    uint32_t connection;
    uint8_t queue;
    bool redelivered, no_ack;
};

/* The model has handed it out. */
void ledger_handed_out(struct ledger *l, const struct handout *h, uint64_t now);

/* Nothing more will be read by that connection's client. */
void ledger_connection_ends(const struct ledger *l, uint32_t connection);

/* What a client holds. */
struct hold {
    uint32_t message, generation;
    uint64_t serial; /* of the handing out */
    uint8_t queue;
};

/* A client has read it.  scope: of its channel. */
struct hold ledger_received(struct ledger *l, const struct handout *h, uint32_t scope);

/* A client has asked for this outcome; it is sure that it was carried out. */
void ledger_settle(struct ledger *l, const struct hold *h, enum outcome outcome);
void ledger_settled(struct ledger *l, const struct hold *h, enum outcome outcome);

/* A transaction with these messages and settlements was sent: all of it is carried out, and kept, or nothing.  Answers
 * its number. */
struct tx_settlement {
    struct hold hold;
    enum outcome outcome;
};
uint32_t ledger_tx(struct ledger *l, const uint32_t *messages, size_t n, const struct tx_settlement *settlements,
                   size_t n_settlements);

/* It was, and is kept: there was an answer. */
void ledger_tx_done(struct ledger *l, uint32_t tx);

/* A channel's life, as far as what it holds is concerned; once it may be ending, what it holds may come back. */
uint32_t ledger_scope(struct ledger *l);
void ledger_scope_ends(struct ledger *l, uint32_t scope);

/* Between the two, whatever is in the queue or comes into it may vanish; what was surely there at the beginning is gone
 * at the end, for ever.  Answers the purge's number. */
uint32_t ledger_purge_begins(struct ledger *l, uint8_t queue, uint64_t now);
void ledger_purge_ends(struct ledger *l, uint8_t queue, uint32_t purge, uint64_t now);

/* How many records there are.  What the ledger is told from now on has been recorded by then. */
void ledger_position(struct ledger *l, uint64_t position);

/* The broker ends; a prefix of its records is kept that is at least this long.  is_clean: in an orderly way.  next:
 * when there will be another one. */
void ledger_crash(struct ledger *l, uint64_t durable, bool is_clean, uint64_t now, uint64_t next);

/* A client has read it in the stream: dies if it never was published.  What is in a stream stays there, so nothing else
 * is said of it. */
void ledger_read_in_log(struct ledger *l, uint32_t message, uint64_t now);

/* What is known of a message; NULL: there is none of that number. */
const struct publishing *ledger_publishing(const struct ledger *l, uint32_t message);

/* The message came back as unroutable: dies unless that is possible. */
void ledger_returned(const struct ledger *l, uint32_t message);

/* Whether a drop-head queue was ever asked to hold more than it may. */
bool ledger_was_overfull(const struct ledger *l, uint8_t queue);

/* From here on whatever is handed out is what was left in the queues. */
void ledger_drains(struct ledger *l);

/* When the last of the messages that were delayed and are sure must be there; 0: there is none. */
uint64_t ledger_last_due(const struct ledger *l);

/* Q_LATE was drained: dies if one of them that is due by now has never come. */
void ledger_check_due(const struct ledger *l, uint64_t now);

/* Dies unless every message is accounted for. */
void ledger_verdict(struct ledger *l, uint64_t now);
#endif
