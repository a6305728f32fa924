/* The bare relay: an AMQP server with one thread that parses frames and hands each publish to a consumer, and nothing
 * else.  It keeps no messages, no acknowledgements and no permissions, so it is what a broker's cost is compared with:
 * the price of sockets and frames alone.
 *
 * relay.c reads and cuts, relay_out.c hands out and writes, relay_methods.c answers what is not a publish.  What is
 * published to a queue without consumers is dropped, so it serves as a sink too.  A consumer that does not read is
 * not waited for by buffering: whoever publishes to it is not read until it does.
 */
#ifndef TESTS_BENCH_RELAY_H
#define TESTS_BENCH_RELAY_H

#include "base/list.h"
#include "base/map.h"
#include "codec/frame.h"
#include "codec/method.h"

enum {
    RELAY_IN_ROOM = 512 << 10,  /* what one read takes */
    RELAY_LARGE_ROOM = 1 << 20, /* … of one who publishes large bodies */
    RELAY_OUT_ROOM = 1 << 20,   /* what waits for a consumer's socket */
    RELAY_OUT_MAX = 16 << 20,   /* … if it is answers to somebody who never reads: the end */
    RELAY_PARTS_MAX = 64,
    RELAY_SPARES_MAX = 64,
    RELAY_DIRECT_MIN = 16 << 10, /* contents of this size go out from where they were read */
    RELAY_FRAME_MAX = 131072,
    RELAY_CHANNEL_MAX = 2047,
    RELAY_BODY_MAX = 64 << 20,
    RELAY_TARGETS_MAX = 1024,
    RELAY_METHOD_MAX = 640, /* a publish with the longest names is 532 */
    RELAY_SLACK = 64,       /* short copies may read and write so much too far */
};

struct relay_conn;

struct relay_consumer {
    struct relay_conn *conn; /* borrowed */
    struct relay_queue *queue;
    struct link in_conn;
    uint16_t channel;
    struct bytes tag;                            /* owned */
    uint8_t head[7 + 4 + 1 + 255 + RELAY_SLACK]; /* of a deliver's frame, up to the delivery tag */
    size_t head_len;
};

struct relay_queue {
    struct map_node in_map;
    struct bytes name;          /* owned */
    struct relay_conn *owner;   /* whose end is its end, or NULL */
    struct relay_consumer **of; /* owned array of borrowed ones */
    unsigned consumers, room, next;
    bool auto_delete;
};

struct relay_binding {
    struct relay_binding *next;
    struct bytes key;   /* owned */
    struct bytes queue; /* owned: by name, it may be gone */
};

struct relay_exchange {
    struct map_node in_map;
    struct bytes name;              /* owned */
    bool is_fanout, is_topic;       /* neither: keys that are equal */
    struct relay_binding *bindings; /* owned, newest first */
};

/* Where a publish goes that has the same method frame as the last one of this connection. */
struct relay_route {
    uint64_t version; /* of the relay when it was found; 0: there is none */
    uint8_t method[RELAY_METHOD_MAX + RELAY_SLACK];
    size_t method_len;
    uint8_t tail[2 + 256 + 256 + 1 + RELAY_SLACK]; /* of a deliver's frame, after the delivery tag */
    size_t tail_len;
    struct relay_queue **targets; /* owned array of borrowed ones */
    unsigned n, room;
};

struct relay_channel {
    uint64_t deliveries, publishes;
    bool confirms;
};

struct relay_part {
    size_t at, len;
    bool is_out; /* in the connection's own output, or in the publisher's input */
};

struct relay_conn {
    int fd;
    uint32_t events; /* what epoll watches for */
    bool is_dead;    /* to be freed when this turn is over */
    bool is_greeted; /* its protocol header came */
    bool is_hung;    /* it is gone, and not watched any more, but needed still */
    bool is_closing; /* it said close: whatever else it says is not heard */
    bool is_large;   /* it publishes large bodies, and reads into its own buffer */
    bool is_dirty;   /* it is on the relay's list of those to flush */
    struct link in_relay, in_dirty, in_dead;
    struct link waiting;           /* on another's list of publishers, while it cannot go on */
    struct list publishers;        /* that wait for our socket */
    struct relay_conn *stalled_on; /* borrowed; NULL: it is read */
    struct list consumers;
    struct relay_channel *channels; /* owned */
    unsigned channels_room;
    unsigned confirm_channel; /* has publishes that are not confirmed; 0: none */
    unsigned owned_queues;

    uint8_t *in; /* owned: what was read and not understood yet; NULL: nothing ever was left */
    size_t in_start, in_end, in_room;
    size_t need; /* bytes of the message that begins at in_start; 0: unknown */

    uint8_t *out; /* owned, or NULL while nothing waits */
    size_t out_start, out_end, out_room;
    /* Contents that go out from a publisher's buffer, between bytes of out: those from out_parted on come after them.
     * The publisher is not read meanwhile. */
    struct relay_part parts[RELAY_PARTS_MAX];
    unsigned parts_at, parts_end;
    size_t out_parted;
    struct relay_conn *direct_from; /* borrowed; NULL: there are none */
    struct relay_conn *direct_to;   /* the other way round: who needs our buffer; borrowed */

    struct relay_route route;
};

struct relay {
    int epoll, listener;
    uint64_t version; /* of all that a route depends on */
    uint8_t *in;      /* owned: everybody's read buffer */
    struct map queues, exchanges;
    struct list conns, dirty, dead, ready;
    uint8_t *spare[RELAY_SPARES_MAX]; /* owned: output buffers that nobody has */
    unsigned spares;
    uint64_t names; /* given to queues that had none */
};

static inline uint32_t relay_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t relay_u64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap64(v);
}

/* ---- relay_out.c */

/* Hands a content (header and body frames, whole) to a consumer of each queue of p's route.  False: somebody has no
 * room, p waits for it and tries again.  One of RELAY_DIRECT_MIN, if p is large, goes out from where it is. */
bool relay_hand_out(struct relay *r, struct relay_conn *p, uint8_t *at, size_t len);

/* Ends a publisher's turn: what goes out from its buffer goes out, or the publisher waits for it. */
void relay_settle(struct relay *r, struct relay_conn *p);

/* Puts a method for one's own connection. */
void relay_put(struct relay *r, struct relay_conn *c, unsigned channel, const void *method);

/* Writes what can be written: now, when its socket says so, or what this turn has put.  Who waited for that is put on
 * the relay's ready list. */
void relay_flush(struct relay *r, struct relay_conn *c);
void relay_on_writable(struct relay *r, struct relay_conn *c);
void relay_flush_all(struct relay *r);

/* The contents that c has from a publisher's buffer are out, or will never be. */
void relay_end_direct(struct relay *r, struct relay_conn *c);

void relay_watch(struct relay *r, struct relay_conn *c, uint32_t events);
void relay_drop(struct relay *r, struct relay_conn *c); /* it dies when the turn is over */

/* Lets those go on who wait for c. */
void relay_release(struct relay *r, struct relay_conn *c);

/* ---- relay_methods.c */

/* Anything but a publish; false: the connection is to end. */
bool relay_hear(struct relay *r, struct relay_conn *c, const struct frame *f);

/* Finds where a publish goes; the frame is all of it, head and end included. */
bool relay_find_route(struct relay *r, struct relay_conn *c, const uint8_t *frame, size_t len);

struct relay_channel *relay_channel(struct relay_conn *c, unsigned channel);

/* Forgets its consumers and its queues. */
void relay_forget(struct relay *r, struct relay_conn *c);
#endif
