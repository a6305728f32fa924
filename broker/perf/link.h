/* An AMQP connection as a measuring tool needs it: a socket, plain or with TLS, our own codec, buffers that the caller
 * may look into.
 *
 * There is no error to handle: whatever goes wrong ends the program (die()), with the broker's words if it had any.
 * What waits, waits LINK_PATIENCE_MS at most.  A link belongs to one thread at a time.
 */
#ifndef BROKER_PERF_LINK_H
#define BROKER_PERF_LINK_H

#include <sys/types.h>

#include "codec/frame.h"
#include "codec/method.h"

enum { LINK_PATIENCE_MS = 60000, LINK_FRAME_MAX = 131072 };

struct link_tls;    /* broker/perf/link_tls.h */
struct link_tls_io; /* one connection's TLS */

/* What a broker says of itself in connection.start: product and version; or broker and broker_version, where it has
 * these because clients expect somebody else's name in the others. */
enum { LINK_NAME_ROOM = 128 };
struct link_server {
    char product[LINK_NAME_ROOM], version[LINK_NAME_ROOM]; /* "": it does not say */
};

struct link_to {
    const char *host; /* a name or an address */
    unsigned port;
    const char *user, *password, *vhost; /* NULL: guest, guest and "/" */
    int receive_buffer;                  /* SO_RCVBUF; 0 leaves it to the kernel */
    const struct link_tls *tls;          /* borrowed; NULL: plain */
    struct link_server *server;          /* borrowed, filled by link_init(); NULL: nobody wants to know */
    struct link_ticket *ticket; /* borrowed, as long as the link lives; NULL: a full handshake, nothing is kept */
};

struct link {
    int fd;
    struct link_tls_io *tls; /* owned; NULL: plain */
    uint32_t frame_max;
    uint8_t *in; /* owned; from start to end are bytes that came and nobody has cut yet */
    size_t in_room, start, end;
    uint64_t received; /* bytes, since the connection was made */
    uint8_t *out;      /* owned; what waits for link_flush() */
    size_t out_room, out_len;
};

/* Connects and logs in, with heartbeats off and the capabilities that everybody has, and opens channel 1.  The socket
 * blocks. */
void link_init(struct link *l, const struct link_to *to);

/* The first part of it alone: the connection, and TLS if that is wanted, but not a byte of AMQP. */
void link_connect(struct link *l, const struct link_to *to);

/* Waits for the broker's first method, connection.start: it says AMQP and means it.  server may be NULL. */
void link_greet(struct link *l, struct link_server *server);

/* The two answers that log in, for who waits for the broker elsewhere: start-ok; and tune-ok, which takes what was
 * offered but the heartbeats, with open.  They are put, not flushed. */
void link_put_start_ok(struct link *l, const struct link_to *to);
void link_put_open(struct link *l, const struct link_to *to, const struct connection_tune *offered);

/* Drops the connection, without a word to the broker. */
void link_fini(struct link *l);

/* Makes the input buffer at least this large. */
void link_reserve(struct link *l, size_t room);

/* Puts a method, or a whole message, into the output buffer. */
void link_put(struct link *l, unsigned channel, const void *method);
struct link_message {
    struct bytes exchange; /* empty: the default exchange */
    struct bytes routing_key;
    struct bytes body;
    bool persistent, mandatory;
};
void link_put_message(struct link *l, unsigned channel, const struct link_message *m);

/* The same into bytes of one's own, and how many these are. */
size_t link_message_size(const struct link_message *m, uint32_t frame_max);
void link_encode_message(struct pen *p, unsigned channel, const struct link_message *m, uint32_t frame_max);

/* Writes some of these, without waiting: how many, or -1 and errno.  With TLS, what was not written must be what is
 * offered next. */
ssize_t link_send(struct link *l, const void *at, size_t n);

/* Some of what came is in TLS's own buffers, where poll() does not see it. */
bool link_is_pending(const struct link *l);

/* Writes all that was put. */
void link_flush(struct link *l);

/* The next frame, waited for; a view that lasts until the next call. */
struct frame link_next(struct link *l);

/* Skips to this method and answers it; its strings are views that last until the next call.  Dies if the channel or
 * the connection is closed first. */
union method link_expect(struct link *l, unsigned channel, enum method_id id);

/* Puts, flushes and expects. */
union method link_call(struct link *l, unsigned channel, const void *method, enum method_id answer);

/* Reads once into the buffer: how many bytes came, 0 if none came yet (the socket does not block, or has a time-out).
 * Dies at the end of the stream. */
size_t link_fill(struct link *l, int flags);

/* The same into bytes of one's own: never waits. */
size_t link_receive(struct link *l, void *to, size_t room);

/* The same into nowhere, uncopied: only without TLS. */
size_t link_discard(struct link *l, size_t n);

/* Cuts a frame of those that are in the buffer; false: not all of it is there yet. */
bool link_cut(struct link *l, struct frame *f);

/* The method in a frame.  Dies if it closes the channel or the connection, saying why. */
union method link_method(const struct frame *f);

/* True within ms if one of these (POLLIN, POLLOUT) holds. */
bool link_wait(const struct link *l, short events, int ms);

/* Declares a queue: not durable and auto-delete, or durable; it vanishes by itself in a minute, if the program dies.
 * max_length 0: no limit. */
void link_declare(struct link *l, const char *queue, bool durable, int64_t max_length);

/* Declares a durable queue of this x-queue-type, or NULL; it vanishes likewise, or, if it is to stay, not. */
void link_declare_durable(struct link *l, const char *queue, const char *type, bool stays);

/* Consumes from it on channel 1; with prefetch 0 there is no limit. */
void link_consume(struct link *l, const char *queue, bool no_ack, unsigned prefetch);
#endif
