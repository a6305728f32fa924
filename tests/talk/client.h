/* One client of a conversation: its connection, and what came on each of its channels and has not been talked about.
 *
 * Broken framing, a content mixed with other frames and frames behind a connection's end are noticed here, whatever
 * the conversation expects.
 */
#ifndef TALK_CLIENT_H
#define TALK_CLIENT_H

#include "tests/talk/peer.h"
#include "tests/talk/wire.h"

enum { PATIENCE_MS = 5000 }; /* how long a remote peer may take to say something */

struct channel {
    struct channel *next;
    uint16_t number;
    struct arrival *first, *last; /* owned: what came, oldest first */
    const struct words *skipping; /* what may come any number of times before the next thing; NULL: nothing */
    bool is_open;                 /* there was open-ok, and no close from either side */
    bool is_ahead;                /* something was sent that has no answer */
    bool is_half_sent;            /* a hand-made frame was sent: nothing may be slipped in */
    uint64_t flows;               /* channel.flow sent and not answered, oldest lowest: 1 if it was client_settle()'s */
    unsigned flows_n;
};

struct client {
    struct client *next;
    char *name; /* owned */
    struct peer *peer;
    int line; /* -1: not connected */
    struct buffer in;
    struct channel *channels; /* owned */
    struct channel *current;
    struct arrival *unfinished; /* owned: a content that still comes */
    uint32_t frame_max;
    unsigned heartbeats; /* came and were not talked about */
    bool is_raw, is_ending, has_ended;
    bool is_holding; /* together: what is sent waits in held */
    struct buffer held;
    const char *broken; /* what the server did that it never may; NULL: nothing */
    bool is_millrace;   /* server-properties said so */
    bool traces;
};

struct client *client_create(struct peer *peer, const char *name);
void client_destroy(struct client *c);

bool client_connect(struct client *c);
void client_drop(struct client *c);
struct channel *client_channel(struct client *c, uint16_t number);

/* Sends bytes that were made for that channel; words say what they are. */
void client_send(struct client *c, struct channel *ch, const struct words *w, struct bytes b);
void client_let_go(struct client *c); /* sends what was held */

/* Reads what is there, or waits for something.  False: nothing came in time. */
bool client_receive(struct client *c, unsigned timeout_ms);

/* The next thing on that channel, waiting for it; NULL: nothing came.  The caller owns it. */
struct arrival *client_take(struct client *c, struct channel *ch);

/* A remote peer has done all it was asked on that channel.  At once for one that is not remote. */
void client_settle(struct client *c, struct channel *ch);
void client_settle_all(struct client *c, bool even_if_not_ahead);
#endif
