/* A virtual client: what it sends is chosen by the seed, what it reads is held against the specification.  It speaks
 * bytes, and knows nothing of what is at the other end of them.
 *
 *     client_connect() → client_act(), again and again → client_read() whenever bytes have come → client_finish()
 *
 * The modules: client (its life, and what the others share), client_act (what it sends), client_read (what it reads),
 * client_note (definitions that come and go).
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/method.h"
#include "tests/sim/buf.h"
#include "tests/sim/ledger.h"
#include "tests/sim/rng.h"
#include "tests/sim/scroll.h"
#include "tests/sim/topology.h"

enum { CHANNELS = 3, CONSUMERS = 6, NO_CONSUMER = 0xff, BODY_HEAD = 16, NOTES = 3, NOTE_DETAIL = 0x10000 };

enum consumer_state { CONSUMER_NONE, CONSUMER_ASKED, CONSUMER_LIVE, CONSUMER_GONE };

struct sim_consumer {
    char tag[16];
    enum consumer_state state;
    uint8_t queue;
    bool no_ack;
    bool is_leaving; /* cancel was sent, and not answered */
    uint32_t limit;  /* 0: none */
    uint64_t next;   /* of Q_LOG: the offset that comes next; UINT64_MAX: not known yet */
};

/* A delivery that is not settled, or settled in a transaction that is still open. */
struct held {
    uint64_t tag;
    struct hold hold;
    uint8_t consumer; /* NO_CONSUMER: fetched by get */
    bool in_tx;
    enum outcome outcome; /* in_tx */
};

/* An answer that is due; replies come in the order of the requests (reference 10.1). */
struct awaited {
    uint32_t reply; /* enum method_id; get-ok stands for get-empty too */
    uint32_t detail;
    uint64_t op;
    bool proves; /* the model has answered, so what was asked before is done */
};

/* What was asked and may or may not have been carried out yet. */
struct doubt {
    uint64_t op;
    bool is_settlement;
    uint32_t message;
    struct hold hold;
    enum outcome outcome;
};

struct confirm {
    uint32_t message;
    bool is_answered, wants_return;
};

enum channel_state { CHANNEL_NONE, CHANNEL_IN_USE, CHANNEL_ENDING };
enum channel_mode { MODE_PLAIN, MODE_CONFIRM, MODE_TX };

struct sim_channel {
    uint16_t number;
    enum channel_state state;
    enum channel_mode mode;
    bool is_doomed;     /* a fault was sent: what follows it has no effect */
    bool recovering;    /* its tags are about to change */
    bool is_risky;      /* something was asked that may fail: close-ok proves nothing */
    bool crossed;       /* the server's close came after ours was sent */
    uint32_t publisher; /* who it is to the ledger, this time */
    uint32_t scope;     /* likewise */
    uint32_t sequence;
    uint64_t op;           /* requests so far */
    uint64_t void_tag;     /* one that recover has taken away; 0: none */
    uint64_t last_tag;     /* of deliveries */
    uint32_t prefetch;     /* for consumers to come */
    uint32_t limit;        /* all consumers together; 0: none */
    uint32_t limit_before; /* until qos-ok */
    unsigned qos_pending;
    struct sim_consumer consumers[CONSUMERS];
    uint32_t tags_made;
    struct held *held;        /* owned, by tag */
    struct awaited *awaited;  /* owned, oldest first */
    struct doubt *doubts;     /* owned */
    struct confirm *confirms; /* owned, by number less one */
    uint32_t *tx_publishes;   /* owned: messages */
    size_t held_count, awaited_count, doubt_count, confirm_count, tx_count;

    /* The content that is coming. */
    bool has_method, has_header;
    struct buf properties, body;
    uint64_t body_size;
    uint32_t content_method;
    struct handout arriving;
    uint8_t arriving_consumer;
    uint64_t arriving_tag;
};

/* An exchange and a queue of one name, which come, are bound, and go. */
struct note {
    uint32_t life;        /* how often they came; says how they are declared */
    unsigned done, asked; /* requests, see client_note.c */
    bool is_pending;      /* asked, and not answered */
    bool is_doubted;      /* the connection was lost since */
    bool is_unknown;      /* while that was pending */
};

enum client_state {
    CLIENT_AWAY,     /* no connection */
    CLIENT_GREETING, /* until open-ok */
    CLIENT_OPEN,
    CLIENT_CLOSING, /* connection.close sent */
    CLIENT_CLOSED,  /* close-ok sent or read: the socket is about to close */
};

/* Who a client is, and what it shares with the others; all borrowed. */
struct client_world {
    struct rng *rng;
    struct ledger *ledger;
    struct scroll *scroll;
    const struct topology *topology;
    const uint64_t *now;
    uint32_t *publishers; /* handed out so far */
    bool is_heavy;        /* large bodies */
    bool likes_log;       /* Q_LOG is used more than others */
    bool is_mixed;        /* some messages are transient */
    uint8_t likes;        /* enum channel_mode: what most channels become */
};

struct client {
    struct client_world world;
    unsigned number;
    enum client_state state;
    uint32_t connection; /* which it is, for the ledger */
    bool is_doomed;      /* a fault of the connection was sent */
    bool is_reading;     /* else what comes stays in the socket */
    bool pipelines;      /* sends its whole greeting at once */
    bool wants_to_drop;  /* the world shall cut the connection */
    bool learns_of_cancels;
    struct sim_channel channels[CHANNELS];
    struct buf up, down;               /* bytes to and from the server */
    uint32_t seen_counts[QUEUE_COUNT]; /* what the last passive declares said */
    struct note notes[NOTES];
};

void client_init(struct client *c, unsigned number, const struct client_world *world);
void client_fini(struct client *c);

/* Begins a connection, which the world knows by that number. */
void client_connect(struct client *c, uint32_t connection);

/* The connection is no more. */
void client_lost(struct client *c);

/* Something at random that its state allows. */
void client_act(struct client *c);

/* Takes in what is in down. */
void client_read(struct client *c);

/* Starts to end the connection in an orderly way, or asks to be cut off. */
void client_finish(struct client *c);

/* The server may close the connection from now on, and whatever was sent may be in vain. */
void client_expect_end(struct client *c);

/* ---- For those who make a client do certain things: channel is its first. */
void client_ask_passive(struct client *c, uint8_t queue);
void client_ask_get(struct client *c, uint8_t queue);
void client_declare_all(struct client *c);
void client_declare_passing(struct client *c);
void client_purge(struct client *c, uint8_t queue);
void client_read_log(struct client *c);   /* all of Q_LOG */
void client_delete_log(struct client *c); /* and what reads it */

/* Takes a step with some note, or looks whether it is as it should be: on the second channel, which is for this. */
void client_note(struct client *c);

/* The world is quiet: dies if an answer is still due. */
void client_check_quiet(const struct client *c);

/* Adds how many consumers of that queue there are, and how many of them could take more. */
/* Whether a consumer of Q_LOG could take more, and waits for what is before that offset. */
bool client_log_waits(const struct client *c, uint64_t end);

void client_count_consumers(const struct client *c, uint8_t queue, unsigned *all, unsigned *hungry);

/* ---- Shared by the three modules. */
void client_send(struct client *c, uint16_t channel, const union method *m);
struct sim_channel *client_channel(struct client *c, uint16_t number);
void channel_start(struct client *c, struct sim_channel *ch);
void channel_over(struct client *c, struct sim_channel *ch); /* as far as the client knows, nothing of it is left */
void channel_expect(struct sim_channel *ch, uint32_t reply, uint32_t detail, bool proves);
void channel_doubt(struct sim_channel *ch, const struct doubt *d);
uint32_t channel_held_by(const struct sim_channel *ch, uint8_t consumer); /* NO_CONSUMER: by all consumers */
void client_on_greeting(struct client *c, const union method *m);         /* channel 0, until open-ok */
void client_noted(struct client *c, uint32_t detail);                     /* the answer has come */
void client_doubts(struct client *c);                                     /* the connection is gone */
void channel_forget_tx(struct client *c, struct sim_channel *ch);

/* Adds one element to an array, which may move. */
#define GROW(array, count) ((array) = alloc_array((array), (count) + 1, sizeof *(array)), &(array)[(count)++])
#endif
