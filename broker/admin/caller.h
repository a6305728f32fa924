/* Who is connected to the administration: sockets that are listened at, the connections that come, with or without
 * TLS, and who of them goes for somebody else.  What is said on a connection is its owner's affair (http.h).
 *
 * A caller does one thing at a time (enum doing), and for each there is a time in all, however many bytes come
 * meanwhile.  When there are as many callers as there may be, one that is idle or still reads its head goes for whoever
 * comes next: one from the place (net/address.h) that has most, and of these the one that has waited longest.  So who
 * holds many connections pushes out their own.  What all bodies and all answers take together is bounded, too.
 *
 * Owners embed struct caller.  All of this is on one thread.
 */
#ifndef BROKER_ADMIN_CALLER_H
#define BROKER_ADMIN_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "broker/admin/admin.h"
#include "broker/net/address.h"

struct bufferevent;
struct event_base;
struct gate;
struct ticker;
struct tls;

/* Reliability C21. */
enum {
    CALLERS_MAX = 256,             /* over TCP; and as many over the control socket */
    CALLER_LARGE_BYTES = 64 << 10, /* bodies and answers beyond that are counted … */
    CALLER_BODIES_MAX = 128 << 20, /* … bytes of all bodies that are not answered yet, which take up to twice as much */
    CALLER_ANSWERS_MAX = 512 << 20, /* … and of all answers that are not taken */
    CALLER_RETRY_MS = 100,          /* without a descriptor for whoever comes */
    CALLER_GRACE_MS = 5000,         /* who takes longer over a body or an answer goes, if there is no room */
    CALLER_PLACES = 256,            /* that are told from one another, by a hash */
};

enum doing {
    DOING_IDLE,   /* between requests */
    DOING_HEAD,   /* it has begun to say one */
    DOING_THINK,  /* the owner has the head, or all of it */
    DOING_BODY,   /* what the owner has asked for is read */
    DOING_WRITE,  /* the answer is written */
    DOING_SKIP,   /* what nobody wanted of the body is read */
    DOING_LINGER, /* nothing more is told; it may read what was */
};

/* A connection.  The owner changes the last two. */
struct caller {
    struct link in_callers;
    struct gate *gate; /* borrowed: by which it came */
    struct callers *callers;
    struct bufferevent *bev; /* owned */
    struct tls *tls;         /* a reference; NULL: plain */
    struct address from;
    struct ticker *deadline; /* owned */
    enum doing doing;
    uint64_t since_ms;   /* it does that */
    uint64_t body_bytes; /* that its request's body takes, or will; while it is read and thought about they count */
    bool may_go;         /* for somebody else, while the owner thinks */
};

/* What owners are told.  A hook may end its caller, and others. */
struct caller_hooks {
    struct caller *(*create)(void *owner); /* somebody comes: answers zeroed memory, a part of something larger */
    void (*destroy)(struct caller *l);     /* the last thing that is told of it: frees that memory */
    void (*gone)(struct caller *l);        /* it has gone, or must go; destroy comes next */
    void (*read)(struct caller *l);        /* there is something to be read */
    void (*written)(struct caller *l);     /* all of what there was to write is written, in DOING_WRITE */
    void (*late)(struct caller *l);        /* its time for a head or a body is over; for all else it just goes */
    void *owner;
    unsigned first_ms; /* for the first byte */
    size_t read_max;   /* bytes that are read ahead */
};

struct callers *callers_create(struct event_base *base, const struct caller_hooks *hooks);

/* Ends all of them; only `destroy` is called. */
void callers_destroy(struct callers *all);

/* Accepts at a socket that listens, which it takes over.  `tls` is asked for at every connection: *tls may change. */
void callers_listen(struct callers *all, int fd, enum entrance entrance, struct tls *const *tls);

unsigned callers_writing(const struct callers *all); /* answers that their clients have not taken yet */

enum entrance caller_entrance(const struct caller *l);

/* From now on it does that, for so long at most; 0: as long as it takes.  Nothing is read while it thinks or writes. */
void caller_do(struct caller *l, enum doing doing, uint64_t ms);

void caller_set_time(struct caller *l, uint64_t ms); /* for what it does, from now on */

/* Nothing more will be said to it; what was, it may go on to read. */
void caller_hush(struct caller *l);

/* Ends it: nobody may look at it any more.  drop tells `gone` before. */
void caller_drop(struct caller *l);
void caller_destroy(struct caller *l);

/* ---- Room, if need be at the expense of others. */

/* For an answer of so many bytes: of the large ones, those go that their clients have been taking for longest. */
void caller_make_way(struct caller *for_whom, size_t len);

/* For its body together with all others'?  If need be one goes that has taken long over its own. */
bool caller_has_room(struct caller *for_whom);
#endif
