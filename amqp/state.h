/* What the session's modules share: the session itself, its states, and the roads that lead out of it.  Private to
 * amqp/.
 *
 * Who calls whom: session (the public face) → input (frames) → handshake, ending (channel 0) or content (channels) →
 * dispatch → one handler a method in channel, topology, consume, settle, publish, tx.  What is frequent and plain goes
 * from input straight to express → settle, publish.  Events: session → answer, deliver, channel.
 */
#ifndef AMQP_STATE_H
#define AMQP_STATE_H

#include "amqp/bulk.h"
#include "amqp/channel.h"
#include "amqp/error.h"
#include "amqp/output.h"
#include "amqp/session.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/slots.h"
#include "broker/port/command.h"
#include "codec/method.h"

/* The life of a connection: STATE(name, its word in error texts, what it does with input, where it may go). */
#define STATES                                                                                                         \
    STATE(GREETING, "starting", READS, TO(STARTING) | TO(OVER))                                                        \
    STATE(STARTING, "starting", READS, TO(JUDGING) | TO(CLOSED) | TO(LINGERING) | TO(OVER))                            \
    STATE(JUDGING, "starting", HOLDS, TO(JUDGED) | TO(OVER)) /* the model is asked about the user */                   \
    STATE(JUDGED, "starting", HOLDS, TO(TUNING) | TO(CLOSED) | TO(LINGERING) | TO(OVER)) /* not told yet */            \
    STATE(TUNING, "tuning", READS, TO(OPENING) | TO(CLOSED) | TO(LINGERING) | TO(OVER))                                \
    STATE(OPENING, "opening", READS, TO(ATTACHING) | TO(CLOSED) | TO(OVER))                                            \
    STATE(ATTACHING, "opening", HOLDS, TO(RUNNING) | TO(CLOSED) | TO(OVER)) /* the model is asked */                   \
    STATE(RUNNING, "running", READS, TO(CLOSING) | TO(OVER))                                                           \
    STATE(CLOSING, "closing", READS, TO(CLOSED) | TO(OVER)) /* the channels are ending; then close or close-ok */      \
    STATE(CLOSED, "closed", READS, TO(OVER))                /* that is out; the peer has its turn */                   \
    STATE(LINGERING, "closed", DROPS, TO(OVER))             /* before a silent close */                                \
    STATE(OVER, "closed", DROPS, 0)                         /* the socket is to be closed */

enum session_state {
#define STATE(name, word, input, next) name,
    STATES
#undef STATE
};

/* What is between the session and the model. */
enum attachment {
    UNATTACHED, /* nothing, or not any more */
    ASKED,      /* ATTACH is under way */
    ATTACHED,
    ENDED, /* DETACH is under way: nothing but DETACHED counts */
};

enum capability {
    CAPABILITY_AUTHENTICATION_FAILURE_CLOSE = 1 << 0,
    CAPABILITY_CONSUMER_CANCEL_NOTIFY = 1 << 1,
    CAPABILITY_CONNECTION_BLOCKED = 1 << 2,
};

enum {
    SESSION_METHOD_ROOM = 1024,             /* bytes of the largest method frame but connection.start */
    SESSION_FRAME_CEILING = 16 << 20,       /* a frame's payload where no frame_max was agreed on */
    SESSION_CLIENT_NAME_MAX = 512,          /* bytes kept of connection_name */
    SESSION_GET_WEIGHT = 512,               /* a GET counts for so many commands: its answer may be a large message */
    SESSION_WINDOW_STEP = WINDOW_BYTES / 4, /* what is given back to the window at once, while there is output */
};

#define SESSION_NEVER UINT64_MAX /* a deadline that does not come */

struct greeting;

struct session {
    const struct session_config *config; /* borrowed */
    struct outbox *outbox;               /* borrowed */
    outlet_id id;
    uint64_t now; /* as the last call said */

    uint8_t state;        /* enum session_state */
    uint8_t attachment;   /* enum attachment */
    uint8_t capabilities; /* the client's; bits of enum capability */
    uint8_t close_oks;    /* connection.close-ok that are owed once the channels have ended */
    bool is_loopback, is_tls;
    bool is_let_in;  /* JUDGED */
    bool is_counted; /* channels begin with OPEN */
    bool deaf;       /* framing was lost: nothing is read any more */
    bool abort;      /* OVER: the output is lost */
    bool is_blocked; /* by an alarm, since it published */
    bool is_told;    /* … with connection.blocked */
    bool is_slowed;  /* it publishes faster than it may */
    bool heard;      /* bytes came since the last look */
    bool took;       /* the socket took output since the last look */
    bool spoke;      /* bytes were written since the last look */
    bool has_reported;
    bool must_speak;         /* the first look of all: a heartbeat is sent whatever was written */
    uint32_t publishes_left; /* before it has to ask; 0: as many as it likes */
    uint8_t misses;          /* looks in a row at which nothing had come */
    uint8_t beat_bytes;      /* of a heartbeat that is not yet written: they do not count as speaking */

    uint16_t channel_max, heartbeat_s; /* as negotiated; 0: no limit, none */
    uint32_t frame_max;
    uint32_t greeting_bytes; /* taken before the login */
    size_t left_over;        /* input bytes that the last session_feed() did not take */
    uint64_t state_deadline; /* of the handshake, of a wait for close-ok, … */
    uint64_t send_check, receive_check;
    uint64_t report_at, reported; /* report.h: when the next is due, and when the last was */
    struct {
        uint64_t recv_oct, recv_cnt, send_oct, send_cnt;
    } traffic;
    uint32_t report_from; /* the stream that the next report looks at first */

    unsigned alarms;
    uint32_t doomed;       /* channels that end first, then the connection with their exception: it is not read */
    uint32_t owed;         /* answers that the model owes; SESSION_GET_WEIGHT */
    uint64_t window_bytes; /* written, and not yet given back to the window */
    uint64_t tx_bytes;     /* what open transactions hold */
    uint64_t assembled;    /* what its unfinished contents hold */
    uint64_t hash_seed;    /* of consumers_by_tag; 0: not chosen yet */

    struct error *error; /* owned: what the connection is to end with */
    struct bulk bulk;    /* a body frame that is being read */
    struct output output;
    struct channels channels;
    struct slots consumers;      /* struct consumer by number; owned */
    struct map consumers_by_tag; /* by channel and tag */
    struct list gathered;        /* channels with confirms to write */

    char *peer;                /* owned */
    char *user;                /* owned; NULL before the login was judged */
    uint64_t serial;           /* the user's */
    struct greeting *greeting; /* owned: login.h; NULL once it has opened */
    char *vhost;               /* owned; NULL before connection.open */
    char *client_name;         /* owned; NULL: it gave none */
    char *certificate_subject; /* owned; NULL: it showed none */
};

/* The only place that changes the state. */
void session_enter(struct session *s, enum session_state to);
const char *session_state_word(const struct session *s); /* as error texts call it */

/* Appends a method frame to the output. */
void session_send(struct session *s, uint16_t channel, const union method *m);
void session_send_bare(struct session *s, uint16_t channel, enum method_id id); /* one without fields */

/* Cookies: the channel's serial, so that an answer which outlived its stream is known; then either the method that was
 * asked, an octet each for class and method, and 32 bits that its handler chose, or the number of a publish. */
enum { COOKIE_SERIAL = 48, COOKIE_CLASS = 40, COOKIE_METHOD = 32 };

static inline enum method_id session_asked(uint64_t cookie)
{
    return (enum method_id)((cookie >> COOKIE_CLASS & 0xFF) << 16 | (cookie >> COOKIE_METHOD & 0xFF));
}

static inline uint32_t session_low(uint64_t cookie)
{
    return (uint32_t)cookie;
}

/* A command that is answered: asked and low come back with the answer, as session_asked() and session_low(). */
struct command *session_ask(struct session *s, struct channel *c, enum verb verb, enum method_id asked, uint32_t low);

/* A command that is not answered, but may fail; number: of a publish that is to be confirmed. */
static inline struct command *session_tell(struct session *s, const struct channel *c, enum verb verb, uint64_t number)
{
    struct origin from = {.outlet = s->id};
    uint64_t cookie = number;
    if (c != NULL) {
        from.stream = c->stream;
        from.channel = c->number;
        cookie |= (uint64_t)c->serial << COOKIE_SERIAL;
    }
    return outbox_add(s->outbox, verb, from, cookie);
}

/* The one place that raises an exception.  Takes e.  c: the channel whose handler found it, which ends first, so that
 * what was asked on it before is answered before; NULL: it is about the connection as a whole. */
void session_raise(struct session *s, struct channel *c, struct error *e);

/* Tells the client that it is blocked, or not any more, if it does not know; a pause (ALARM_BUSY) is not told. */
void session_tell_blocked(struct session *s);

/* False while nothing more should be read, by the session's own choice. */
bool session_is_reading(const struct session *s);

/* Base64url without padding, of 16 random bytes, behind prefix: answers the length. */
enum { SESSION_NAME_ROOM = 48 };
struct bytes session_make_name(const struct session *s, const char *prefix, char to[SESSION_NAME_ROOM]);

/* Writes a line about the connection to the log: before, then `connection <conn-7> (127.0.0.1:40000 -> 127.0.0.1:5672 -
 * name, vhost: '/', user: 'guest')` as far as that is known, then the rest; format may be NULL. */
void session_log(const struct session *s, enum log_category category, enum log_level level, const char *before,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static inline struct bytes session_vhost(const struct session *s)
{
    return bytes_of_string(s->vhost);
}
#endif
