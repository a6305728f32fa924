/* One client's socket and its session: reads, feeds, writes what the session gathers, closes when it wishes.  On the
 * thread of its loop, which tells it what has happened and when.
 *
 *     conn_read(c, scratch, now)        the socket can be read
 *     conn_tick(c, now)                 its deadline has come
 *     conn_serve(c, now)                something has happened: write, and see what the session wants now
 */
#ifndef BROKER_NET_CONN_H
#define BROKER_NET_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/session.h"
#include "base/heap.h"
#include "base/list.h"
#include "broker/net/door.h"
#include "broker/net/intake.h"
#include "broker/net/poller.h"
#include "broker/net/transport.h"

enum {
    CONN_IOV_MAX = 64,
    CONN_TURN_BYTES = 1 << 20,  /* written to one connection before the others have their turn */
    CONN_TURN_READ = 512 << 10, /* read from one, of large bodies, likewise */
    CONN_READ_BEHIND = 4096,    /* of what comes behind a large body, read with its end */
    CONN_DRAIN_MS = 1000,       /* after our side of the socket was shut down, the peer may still talk */
};

enum conn_state {
    CONN_UP,       /* the session speaks */
    CONN_DRAINING, /* our side is shut down; what comes is thrown away */
    CONN_GONE,     /* the socket is closed; the session may still wait for the model */
};

struct conn {
    /* For the loop. */
    struct loop *loop;    /* borrowed */
    struct link touched;  /* on the loop's list of those to be served … */
    struct link readable; /* … and of those to be read first */
    struct heap_node deadline;
    struct guest guest; /* at the door, until it has opened */
    uint32_t slot;      /* in the loop's table */
    unsigned ready;     /* enum watch_what: seen, not yet worked off */

    /* The connection's own. */
    enum conn_state state;
    bool is_paused;              /* what is left over was not taken because the session did not want to read */
    bool is_blocked;             /* the socket takes no more now */
    bool is_broken;              /* … or ever */
    uint64_t close_by_ms;        /* when its socket is closed at the latest; UINT64_MAX: not closing */
    struct transport *transport; /* owned; NULL: CONN_GONE */
    struct watch *watch;         /* owned: on the transport's socket; likewise */
    struct session *session;     /* owned */
    struct intake in;
};

/* Takes over the transport.  The caller gives it its session and its watch before anything else. */
struct conn *conn_create(struct transport *transport);
void conn_destroy(struct conn *c); /* only when conn_is_over() */

void conn_read(struct conn *c, uint8_t *scratch, uint64_t now_ms);
void conn_tick(struct conn *c, uint64_t now_ms);

/* True: there is more to do at once, so ask again. */
bool conn_serve(struct conn *c, uint64_t now_ms);

/* Closes the socket now, whatever is unwritten. */
void conn_drop(struct conn *c);

/* When conn_tick() is wanted; UINT64_MAX: never. */
uint64_t conn_deadline(const struct conn *c);

bool conn_is_over(const struct conn *c);
#endif
