/* Channels: their numbers, their life, and how they end.
 *
 * To the model a channel is a stream.  Its number in the port is not the channel's: a client may close a channel and
 * open it again in one breath, and the two are different streams.
 */
#ifndef AMQP_CHANNEL_H
#define AMQP_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "amqp/content.h"
#include "amqp/error.h"
#include "base/bytes.h"
#include "base/list.h"
#include "base/slots.h"
#include "codec/method.h"

struct confirms;
struct express;
struct session;
struct tx;
struct unacked;

enum {
    CHANNEL_PAGE = 32,           /* channel numbers of one page */
    CHANNEL_STREAMS_MAX = 65536, /* channels that are open or on their way out */
};

/* What becomes of a channel: OPEN → FAILING → CLOSING, or OPEN → ENDING. */
enum channel_state {
    CHANNEL_OPEN,
    CHANNEL_FAILING, /* an exception was raised, and RESET is under way: then it is reported */
    CHANNEL_CLOSING, /* channel.close is out: only the peer's close and close-ok count */
    CHANNEL_ENDING,  /* the peer closed it, and RESET is under way: then close-ok; its number is free */
};

struct channel {
    uint16_t number;
    uint16_t stream;
    uint16_t serial; /* tells this use of the stream from others, in cookies */
    uint8_t state;   /* enum channel_state */
    uint8_t last_queue_len;
    bool owes_close_ok;
    bool was_busy;     /* when it was reported last (report.h), something of it was open */
    bool has_stream;   /* it has one until RESET was answered */
    uint32_t prefetch; /* for consumers that are started from now on; 0: no limit */
    uint32_t owed;     /* answers that the model owes, RESET's aside */
    uint64_t last_tag; /* of its deliveries */
    struct content content;
    struct unacked *unacked;   /* owned; NULL until something is to be acknowledged */
    struct confirms *confirms; /* owned; NULL: it does not confirm */
    struct tx *tx;             /* owned; NULL: it is not transactional */
    struct express *express;   /* owned; NULL until it has published */
    struct error *error;       /* owned: FAILING, CLOSING: why */
    char *reply_to;            /* owned: the address of its reply consumer; NULL: it has none */
    uint8_t *last_queue;       /* owned: the name of the queue declared last; NULL: none */
    struct list consumers;     /* owned */
    struct link gathered;      /* on session.gathered while confirms wait to be written */
};

/* Numbers to channels, a page of pointers at a time, made when one of its numbers is first used. */
struct channel_page {
    struct channel *at[CHANNEL_PAGE];
    uint16_t ending[CHANNEL_PAGE]; /* how many channels of a number are on their way out */
    uint32_t closed;               /* numbers that were open once: late acknowledgements on them are no error */
};

struct channels {
    struct channel_page **pages; /* owned */
    uint32_t page_count;
    uint32_t open_count;
    struct channel *last; /* borrowed: the one found last */
    struct slots streams; /* channels by stream; owned */
};

void channels_init(struct channels *all);
void channels_fini(struct session *s); /* frees every channel */

/* The channel of that number unless it is free; of that stream unless there is none. */
struct channel *channel_find(struct session *s, uint16_t number);
struct channel *channel_find_stream(const struct session *s, uint16_t stream);

/* A frame on a number that is free. */
void channel_take_stray(struct session *s, const struct frame *f);

/* Ends the channel with an exception, or remembers what the peer is to be told of it.  Takes e. */
void channel_fail(struct session *s, struct channel *c, struct error *e);

/* RESET was answered: reports, or answers, what ended the channel. */
void channel_on_reset(struct session *s, struct channel *c);

/* Handlers.  (Every handler of this folder: NULL, or the exception to raise.) */
struct error *channel_on_open(struct session *s, struct channel *c, const union method *m);
struct error *channel_on_close(struct session *s, struct channel *c, const union method *m);
struct error *channel_on_close_ok(struct session *s, struct channel *c, const union method *m);
struct error *channel_on_flow(struct session *s, struct channel *c, const union method *m);
struct error *channel_on_access_request(struct session *s, struct channel *c, const union method *m);
#endif
