/* A cell of the authorisation matrix, as a conversation (run_matrix.c, methods.def). */
#ifndef TESTS_ACCESS_MATRIX_H
#define TESTS_ACCESS_MATRIX_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    RIGHTS_SETS = 8, /* of configure, write, read: bits by number */
    CHECKS_MAX = 8,
};

/* What a row names. */
enum slot { NONE, QUEUE, QUEUE_OR_NEW, EXCHANGE, TOPIC, KEY, VHOST, SLOTS };

enum which { A, B, WHICHES, THE_TOPIC = WHICHES };

/* What is asked of it, one after the other. */
enum check_kind {
    ALL_FINE, /* ends them */
    CONFIGURE,
    WRITE,
    READ,
    ANY_SINCE_4, /* one of the three, whichever */
    WRITE_SINCE_4,
    ENTER,             /* a virtual host: any entry */
    EXISTS,            /* or 404; of a virtual host 530 */
    UNLOCKED,          /* or 405: it is another connection's */
    UNLOCKED_IF_BOUND, /* to what there is of B */
    DIFFERS,           /* 406 if it is there: the line says other arguments */
    NOT_DEFAULT,       /* or 403 */
    NOT_SYSTEM,        /* or 403: of exchanges that are the broker's */
    NOT_RESERVED,      /* or 403: of queues' names that are the broker's */
};

struct check {
    enum check_kind what;
    enum which of;
};

struct row {
    uint32_t method;
    const char *what; /* of a method with several rows; or why it needs nothing */
    enum slot slots[WHICHES];
    const char *says;   /* what the client sends … */
    const char *answer; /* … and hears; NULL: says has all lines */
    bool is_raw;        /* the lines begin with the protocol header */
    struct check checks[CHECKS_MAX];
};

/* One kind of resource. */
struct kind {
    const char *name;    /* as the client says it; $name: what came under that name */
    const char *shown;   /* as a refusal shows it, if otherwise; an expression: only for QUEUE_OR_NEW */
    bool is_matched;     /* by the patterns of a user who has the right */
    bool is_there;       /* it exists */
    bool is_locked;      /* exclusive to another connection */
    bool is_default;     /* the default exchange */
    bool is_the_brokers; /* a name of the broker's own */
};

/* The i-th kind of what such a slot may name, one's own first; NULL: no more. */
const struct kind *matrix_kind(enum slot slot, unsigned i);

struct cell {
    const struct row *row;
    const struct kind *kinds[WHICHES];
    unsigned rights; /* bits by number: configure, write, read */
    bool is_peer;    /* a RabbitMQ 3.10 behind a socket, which has all users */
    const char *vhost;
};

/* Writes the conversation: makes the resources, says the row's line, expects what must come, and if it was refused
 * makes sure that nothing has changed. */
void matrix_write(FILE *to, const struct cell *c);
#endif
