/* One client connection's AMQP, without the socket: it is fed bytes and yields bytes, its commands pile up in the
 * outbox that it was given, events come in.  Time is an argument, in milliseconds of a clock that never goes back.  It
 * never blocks and starts no thread; all of a session's functions are called on its connection's network thread.
 *
 *     session_feed(s, bytes, now)          what the socket has → commands, output
 *     session_room(s, &n) / session_got(s, n, now)         or straight into a large message
 *     session_events(s, events, n, now)    what the model says → output
 *     session_turn(s)                      the loop's turn is over: settle what could be gathered
 *     session_gather(s, iov, n) / session_wrote(s, bytes)      output → socket
 *     session_deadline(s) / session_tick(s, now)               heartbeats, time-outs
 *     session_wants(s)                     what the runtime should do for it
 *
 * The protocol is that of reference amqp-protocol.md, all of it.
 */
#ifndef AMQP_SESSION_H
#define AMQP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "broker/port/batch.h"
#include "broker/port/event.h"
#include "broker/port/ids.h"

struct session;

enum {
    SESSION_GREETING_BYTES_MAX = 16 * 1024, /* read from a peer before it has logged in (reliability C2) */
    SESSION_GREETING_FRAME_MAX = 8192,      /* a frame's payload before tune-ok */
    SESSION_COMMANDS_MAX = 4096,            /* answers a connection may be owed before it is not read any more */
    SESSION_OUTPUT_MAX = 2 << 20,           /* bytes of unwritten output before it is not read any more */
    SESSION_ASSEMBLY_MAX =
        64 << 20, /* bytes of unfinished contents of a connection, besides the one that may be largest */
    SESSION_TX_BYTES_MAX = 256 << 20, /* what a connection's open transactions may hold */
    SESSION_CLOSE_MS = 30000,         /* the longest wait for a peer's close-ok */
    SESSION_LINGER_MS = 3000,         /* before a silent close; after framing was lost */
};

enum login { LOGIN_OK, LOGIN_REFUSED };

/* Somebody says who they are, and the model has been asked about that user. */
struct session_login {
    struct bytes user, password;
    bool is_external;       /* no password: the certificate says it */
    bool is_user;           /* there is such a user … */
    struct bytes arguments; /* … and this is its definition's table (port/definition.h) */
    bool is_loopback;       /* the peer's address … */
    struct bytes place;     /* … and place, as in struct session_peer */
    bool is_http;           /* it is no session's: somebody asks the administration */
};

enum session_mechanism { SASL_PLAIN = 1 << 0, SASL_AMQPLAIN = 1 << 1, SASL_EXTERNAL = 1 << 2 };

/* Shared by a loop's sessions; borrowed, outlives them. */
struct session_config {
    uint16_t channel_max;      /* 2047; 0: no limit */
    uint32_t frame_max;        /* 131072; 0: no limit */
    uint16_t heartbeat_s;      /* what is offered */
    uint64_t max_message_size; /* bytes of body */
    bool decodes_all;          /* no short way is taken (amqp/express.h): for tests, which compare the two */
    bool live_prefetch;        /* basic.qos without global changes the consumers that are there, too */
    uint64_t handshake_timeout_ms;
    uint64_t report_ms;            /* how often it tells the model of its socket (REPORT) at most; 0: never */
    const char *product, *version; /* what clients are told: RabbitMQ 3.13.7 (reference 2.2) */
    const char *broker_version, *cluster_name; /* the truth beside it */
    unsigned mechanisms; /* enum session_mechanism: what is offered; EXTERNAL on TLS connections alone */
    /* Judges a login; the verdict is not to be told before *delay_ms have passed. */
    enum login (*login)(void *arg, const struct session_login *l, uint64_t now, uint64_t *delay_ms);
    /* May a refusal from that place be logged?  *suppressed: how many were not, before it.  NULL: always. */
    bool (*may_log)(void *arg, struct bytes place, uint64_t now, unsigned *suppressed);
    void (*random)(void *arg, void *to, size_t n); /* unguessable bytes, for generated names */
    void *arg;                                     /* for both */
};

/* Who is at the other end; the session keeps what it needs of it. */
struct session_peer {
    const char *name;   /* "127.0.0.1:40000 -> 127.0.0.1:5672", for the log */
    bool is_loopback;   /* from this machine, a UNIX socket included */
    bool is_tls;        /* and EXTERNAL is offered */
    struct bytes place; /* what clients of one place have in common (net/address.h, address_group), for slowing down
                           who guesses passwords */
    /* Who its certificate, which was verified, says that it is; NULL: certificate_fault says why that is unknown
     * (reference queue-features 12.5), in the words for the log. */
    const char *certificate_name, *certificate_fault;
    /* A field table of what listings show of the socket: host, port, peer_host, peer_port, ssl, ssl_protocol,
     * ssl_cipher, ssl_key_exchange, ssl_hash, peer_cert_subject, peer_cert_issuer, peer_cert_validity (reference
     * operations 6.2); may be empty. */
    struct bytes facts;
};

struct session *session_create(const struct session_config *config, outlet_id id, const struct session_peer *peer,
                               struct outbox *outbox, uint64_t now);

/* Only when session_is_over(). */
void session_destroy(struct session *s);

/* Takes frames off the front of in, and what there is of a large body; answers how many bytes it took.  What it leaves
 * must come again, with more behind it, once session_wants() says READ: a part of a frame, or all of it while reading
 * is paused.  Nothing of in is kept. */
size_t session_feed(struct session *s, struct bytes in, uint64_t now);

/* Where the next bytes of the socket may be read to, because they are a large body's: *n of them at most, and at least
 * one; what comes behind them is to be fed.  NULL: all is to be fed, as always.  Then, that n bytes came. */
uint8_t *session_room(struct session *s, size_t *n);
void session_got(struct session *s, size_t n, uint64_t now);

/* Takes the event and what it owns. */
void session_event(struct session *s, struct event *e, uint64_t now);

/* Takes those of n events that come first and are all for this session; answers how many. */
size_t session_events(struct session *s, struct event *events, size_t n, uint64_t now);

/* The loop's turn is over: writes the confirms that were gathered, reports the window.  Call before session_gather().
 */
void session_turn(struct session *s);

/* The front of the output, in up to max pieces that stay valid until session_wrote(); answers how many pieces. */
int session_gather(struct session *s, struct iovec *iov, int max);

/* The socket took that many bytes of it.  May leave a WINDOW command in the outbox (session_turn() sends it). */
void session_wrote(struct session *s, size_t bytes);

/* When session_tick() is wanted; UINT64_MAX: never. */
uint64_t session_deadline(const struct session *s);
void session_tick(struct session *s, uint64_t now);

enum session_wish {
    SESSION_READ = 1 << 0,   /* read the socket */
    SESSION_WRITE = 1 << 1,  /* there is output */
    SESSION_CLOSE = 1 << 2,  /* when the output is written: shut the socket down, drain it briefly, close it */
    SESSION_ABORT = 1 << 3,  /* close the socket now; the output is lost */
    SESSION_LISTEN = 1 << 4, /* read the socket for its end's sake: what comes is kept, and taken later */
};
unsigned session_wants(const struct session *s);

/* Its user has been let in, whether that was told or not: it is no stranger any more. */
bool session_has_logged_in(const struct session *s);

/* The peer has gone (end of file, reset): no more output.  Safe to call twice. */
void session_lost(struct session *s);

/* The model has nothing more for it, and it wants nothing but CLOSE or ABORT: it may be destroyed when the socket is.
 */
bool session_is_over(const struct session *s);

/* Resource alarms have changed (enum alarm, 0: none). */
void session_alarm(struct session *s, unsigned alarms, uint64_t now);

/* Tells the client 320 CONNECTION_FORCED with this explanation and ends the connection. */
void session_force_close(struct session *s, const char *explanation, uint64_t now);

/* For the log and for listings; borrowed. */
const char *session_peer_name(const struct session *s);
#endif
