/* What the model wants remembered: the records of a step, in order, for whoever keeps them (broker/store/).
 *
 * A record's position is its number, counted from 1 since the broker was created; the model counts, nobody else.
 * Everything up to a position is durable, or nothing is known about it.
 */
#ifndef BROKER_PORT_RECORD_H
#define BROKER_PORT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct message;

enum record_kind {
    RECORD_DEFINE,   /* definition: there is such a thing from now on, or it is so from now on */
    RECORD_UNDEFINE, /* definition: there is not any more; a queue takes its messages along */
    RECORD_PUBLISH,  /* a message, at one or more places; if there is a place in `at`, that one is settled by it */
    RECORD_SETTLE,   /* at: that message is done with */
    RECORD_DELIVER,  /* at: it is out, with somebody who may give it back */
    RECORD_RETURN,   /* at: it was given back; it has been delivered once more than was known */
    RECORD_PURGE,    /* at: whatever the queue holds from this position on, as of now, is done with */
    RECORD_TRIM,     /* at: whatever the queue holds before this position, as of now, is done with */
    RECORD_COMMIT,   /* ends the records with tx before it: all of them count, or none */
    RECORD_LOAD,     /* nothing to remember: asks for messages, to be answered with the command LOADED */
};

/* What definitions are about, in the order in which they are restored (port/definition.h says what their specs hold).
 * The numbers are on disk. */
enum definition_class {
    DEFINE_VHOST,
    DEFINE_EXCHANGE,
    DEFINE_QUEUE,
    DEFINE_BINDING,
    DEFINE_USER,
    DEFINE_PERMISSION,
    DEFINE_TOPIC_PERMISSION,
    DEFINE_PARAMETER,
    DEFINE_PART,     /* of a stream's log */
    DEFINE_BOOKMARK, /* of a reader of a stream */
    DEFINE_CLASSES
};

#define PLACE_NO_TTL UINT64_MAX

/* A message in a queue.  Queues are numbered from 1 for ever; positions rise within a queue. */
struct place {
    uint64_t queue, position;
    union {
        uint64_t ttl_ms; /* PUBLISH: how long it may stay, from the step's wall_ms; PLACE_NO_TTL */
        uint64_t bytes;  /* SETTLE, and the place that a PUBLISH replaces: of its body */
        uint64_t reader; /* LOAD: who asks, if there are several for the queue; comes back with the load */
    };
};

struct definition {
    struct definition *next; /* whoever holds it */
    enum definition_class what;
    uint64_t queue;          /* DEFINE_QUEUE: its number */
    struct bytes key, value; /* in data; value is empty for UNDEFINE */
    uint8_t data[];
};

struct record {
    uint8_t kind;    /* enum record_kind */
    bool tx;         /* counts only together with the COMMIT that follows */
    bool transient;  /* PUBLISH: recorded for want of memory; it need not survive a restart */
    uint32_t places; /* PUBLISH: how many; they lie in the sheaf, one record's after the other's */
    struct place at; /* queue 0: none */
    union {
        struct message *msg;           /* PUBLISH: a reference */
        struct definition *definition; /* DEFINE, UNDEFINE: owned */
        struct {
            uint32_t messages_max, bytes_max;
        } load; /* LOAD: no more than so many messages, and stop behind the first that makes it so many bytes */
    };
};

/* The records of a step or of several, with what they own. */
struct sheaf {
    struct record *records; /* owned */
    size_t n, capacity;
    struct place *places; /* owned */
    size_t n_places, places_capacity;
    uint64_t last;    /* position of the last of them */
    uint64_t wall_ms; /* of the step */
    uint64_t bytes;   /* message_cost() of its publishes */
    bool has_loads;   /* there may be a LOAD among them */
};

enum { SHEAF_KEPT_MAX = 4 << 20 }; /* bytes of room that sheaf_clear() keeps, of each kind */

void sheaf_init(struct sheaf *s);
void sheaf_fini(struct sheaf *s);  /* drops what is in it */
void sheaf_clear(struct sheaf *s); /* drops what is in it, keeps the room and `last` */

/* Room for one more. */
void sheaf_grow_records(struct sheaf *s);
void sheaf_grow_places(struct sheaf *s);

/* Another record, zeroed but for kind. */
static inline struct record *sheaf_add(struct sheaf *s, enum record_kind kind)
{
    if (s->n == s->capacity)
        sheaf_grow_records(s);
    struct record *r = &s->records[s->n++];
    *r = (struct record){.kind = (uint8_t)kind};
    s->has_loads |= kind == RECORD_LOAD;
    return r;
}

/* Another place of the PUBLISH that was added last. */
static inline void sheaf_place(struct sheaf *s, struct place p)
{
    if (s->n_places == s->places_capacity)
        sheaf_grow_places(s);
    s->places[s->n_places++] = p;
    s->records[s->n - 1].places++;
}

/* A definition with copies of both; the caller owns it. */
struct definition *definition_create(enum definition_class what, uint64_t queue, struct bytes key, struct bytes value);
#endif
