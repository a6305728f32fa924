/* What the model tells a session.  An event with after > 0 may not leave before the journal is durable up to there
 * (broker/net/gate.h says what of it).
 * Whoever takes an event takes what it owns. */
#ifndef BROKER_PORT_EVENT_H
#define BROKER_PORT_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/command.h"
#include "broker/port/ids.h"

struct changes;
struct inspection;
struct message;
struct move;
struct samples;
struct spec;

enum happening {
    DONE,      /* the command with this cookie was carried out */
    FAILED,    /* it was not, and the stream is poisoned until RESET */
    DELIVERED, /* a message for a consumer */
    GOT,       /* the answer to GET: a message … */
    EMPTY,     /* … or none */
    CONFIRMED, /* the publish with this cookie is safe */
    REFUSED,   /* it was refused by a queue that is full */
    RETURNED,  /* a mandatory message found no queue; comes before its CONFIRMED */
    CANCELLED, /* a consumer has lost its queue; its number is free */
    OVERDUE,   /* what it had has not been acknowledged in time and was requeued: a consumer, which is cancelled, or (no
                  consumer) the stream itself, which is to end */
    EXPELLED,  /* it is to go: its session says so to its client, and DETACHes */
    SLOWED,    /* it publishes faster than it may: it is not read from now on; or it is again */
    DETACHED,  /* the last event for this client */
} __attribute__((packed));

/* What was wrong, in the model's own words; amqp/error.c says which reply code that is. */
enum reason {
    NO_SUCH_VHOST,
    NO_SUCH_USER,
    NO_ACCESS, /* the user may not, or not any more */
    NO_ROOM,   /* a limit on connections, or on channels */
    NO_SUCH_QUEUE,
    NO_SUCH_EXCHANGE,
    UNKNOWN_EXCHANGE_TYPE,
    DIFFERS,      /* redeclared with another property or argument */
    OBJECTION,    /* what the session objected to */
    BAD_ARGUMENT, /* an argument that only the model can judge */
    LOCKED,       /* exclusive to another client */
    IN_USE,
    NOT_EMPTY,
    RESERVED,      /* a name of the broker's own */
    DENIED,        /* never allowed: the default exchange, an internal one, an exclusive consumer's queue */
    TX_REFUSED,    /* a queue refused a publish of the transaction */
    TOO_MUCH,      /* a limit */
    NOT_SUPPORTED, /* by queues of this type, whatever they hold */
};

/* A header that the copy delivered gets, in place of one that is there. */
enum stamp {
    STAMP_NONE,
    STAMP_RETURNS, /* x-delivery-count and x-acquired-count: how often it was given back */
    STAMP_OFFSET,  /* x-stream-offset */
};

/* One fills a cache line. */
struct event {
    enum happening what;
    enum verb verb;         /* DONE, FAILED: of the command that is answered */
    bool nothing_published; /* that is a COMMIT: it has only settled */
    struct origin to;
    uint64_t cookie;
    uint64_t after; /* journal position, 0: none */
    union {
        struct {
            union {
                struct spec *spec;             /* owned: the command's own, or NULL */
                struct changes *changes;       /* owned: ALTER */
                struct inspection *inspection; /* owned: INSPECT */
                struct move *move;             /* owned: MOVE */
                struct samples *samples;       /* owned: SAMPLE */
            };
            uint32_t messages, consumers;
            bool is_change;  /* DECLARE_…, DELETE_…, PURGE, (UN)BIND: something was made or taken away */
            bool is_counted; /* ATTACH: every stream is to begin with OPEN, so that one too many is refused at once */
        } done;
        struct {
            char *text; /* owned: the explanation as reference amqp-protocol 4.5 words it, without the code's name */
            enum reason reason;
            struct changes *changes; /* owned: ALTER; else NULL */
        } failed;
        struct {
            struct message *msg; /* a reference moves to the session */
            ticket ticket;       /* meaningless for a consumer or GET that needs no acknowledgement */
            union {
                uint32_t consumer; /* DELIVERED */
                uint32_t messages; /* GOT: how many are left */
            };
            bool redelivered;
            bool no_ack;   /* nothing to settle */
            uint8_t stamp; /* enum stamp */
            uint64_t stamp_value;
        } delivered; /* DELIVERED, GOT, RETURNED (msg alone) */
        struct {
            uint32_t more; /* publishes that it answers for too: those with the next cookies */
        } confirmed;       /* CONFIRMED, REFUSED */
        struct {
            uint32_t consumer;
        } cancelled;
        struct {
            char *queue;         /* owned: whose message it was */
            uint64_t timeout_ms; /* that it has exceeded */
            uint32_t consumer;
            bool has_consumer;
        } overdue;
        struct {
            char *text; /* owned: what its client is told */
        } expelled;
        struct {
            bool is_slowed;
            uint32_t publishes; /* it is not: how many before it asks again (PACE); 0: as many as it likes */
        } slowed;
    };
};

/* Frees what an event owns, for whoever has to drop one. */
void event_drop(struct event *e);

/* Resource alarms, as bits: what publishers are blocked for.  They concern every client, so they travel beside the
 * events, once a loop.  BUSY is no alarm but a pause, for a journal that cannot keep up: publishers wait likewise, and
 * nobody is told. */
enum alarm { ALARM_MEMORY = 1 << 0, ALARM_DISK = 1 << 1, ALARM_BUSY = 1 << 2 };
enum { ALARMS_TOLD = ALARM_MEMORY | ALARM_DISK };
#endif
