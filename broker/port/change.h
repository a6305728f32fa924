/* What an administrator, or a file of definitions, wants changed: objects put and removed, all together or not at all
 * (the command ALTER).
 */
#ifndef BROKER_PORT_CHANGE_H
#define BROKER_PORT_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/port/record.h"

struct spec;

enum {
    CHANGES_MAX = 1 << 20, /* of one ALTER */
};

enum change_kind {
    CHANGE_PUT,    /* there is such an object, like this; what it was is replaced, but of exchanges and queues */
    CHANGE_REMOVE, /* there is none any more.  Queue: if_unused, if_empty; exchange: if_unused */
    CHANGE_PURGE,  /* DEFINE_QUEUE: what is ready in it is dropped */
    CHANGE_CANCEL, /* DEFINE_EXCHANGE: what it delays under that serial (the id of INSPECT_DELAYED) is dropped */
    CHANGE_UPDATE, /* DEFINE_QUEUE: one that is there has these arguments from now on; flags do not count */
    CHANGE_KINDS
};

/* What became of it.  The texts are those of AMQP and of reference operations 1.4, without a code's name. */
enum change_outcome {
    CHANGE_NOTHING, /* it was so already, or there was none */
    CHANGE_MADE,    /* it is new */
    CHANGE_CHANGED,
    CHANGE_REMOVED, /* or purged: count says of how many messages */
    CHANGE_SKIPPED, /* text says why: it is there with other properties, in use, not empty, exclusive to a client; a
                       binding's ends are not there */
};

struct change {
    enum change_kind kind;
    enum definition_class what;
    struct spec *spec; /* owned: port/definition.h says what counts; of a queue the options are read already */
    enum change_outcome outcome; /* when it is answered, likewise: */
    char *text;                  /* owned: CHANGE_SKIPPED: why */
    uint64_t count;
};

struct changes {
    size_t n, capacity;
    struct change *at; /* owned, with what they own */
    char *user;        /* owned: the user who asks, by whose rights exchanges, queues and bindings are judged, as if a
                          client had declared them; NULL: the administrator of the machine, who may do everything */
    bool is_rehearsal; /* nothing is changed: outcomes say what would become of those that put something */
    size_t failed;     /* the answer is FAILED: the index of the one that is wrong; n: none of them by itself */
};

struct changes *changes_create(void);
void changes_destroy(struct changes *c); /* NULL is allowed */

/* Another one; takes the spec. */
struct change *changes_add(struct changes *c, enum change_kind kind, enum definition_class what, struct spec *spec);
#endif
