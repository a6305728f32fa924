/* Exchanges and bindings.  An exchange's kind is a table of functions over an index of its own; what goes where is
 * decided there, and broker/model/route.c follows it from exchange to exchange.
 */
#ifndef BROKER_MODEL_EXCHANGE_H
#define BROKER_MODEL_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/model/statistics_state.h"

struct binding;
struct broker;
struct dedup;
struct exchange;
struct history;
struct policy_pair;
struct queue;
struct roster;
struct route;
struct routing;
struct spec;
struct topic_index;
struct vhost;

struct exchange_kind {
    struct bytes name; /* "direct" */
    /* Adds what the message goes to with route_add_binding(); false: nothing.  Says to->is_fleeting if it depends on
     * more than the exchange's name and the routing keys. */
    bool (*route)(struct broker *b, struct exchange *x, struct routing *message, struct route *to);

    /* Any of these may be NULL: the kind has nothing to do then. */
    void (*init)(struct broker *b, struct exchange *x); /* its spec is there */
    void (*fini)(struct broker *b, struct exchange *x); /* has no bindings any more */
    void (*bind)(struct broker *b, struct exchange *x, struct binding *bd);
    void (*unbind)(struct exchange *x, struct binding *bd);
    char *(*refuse)(const struct spec *spec);                                        /* see exchange_refuse() */
    char *(*refuse_binding)(const struct exchange *source, const struct spec *spec); /* see binding_refuse() */
    void (*bound)(struct broker *b, struct binding *bd);                             /* see binding_announce() */
};

struct exchange {
    struct map_node in_vhost;
    struct vhost *vhost; /* borrowed */
    const struct exchange_kind *kind;
    struct spec *spec;      /* owned: as it was declared */
    struct bytes name;      /* in spec */
    struct bytes alternate; /* in spec, or in a policy's */
    bool has_alternate;
    struct dedup *dedup;          /* owned; NULL: it lets everything through */
    bool delays;                  /* x-delayed-message: kind is that of its x-delayed-type (route_delayed.h) */
    struct queue *waiting;        /* owned: where what it delays is (delayed.h); NULL: nothing was yet */
    struct policy_pair *policies; /* shared: what applies; NULL: nothing */
    struct counted counted;
    struct list outgoing; /* bindings of which it is the source */
    struct list incoming; /* … and the destination */
    struct link doomed;   /* on broker->doomed */
    uint64_t stamp;       /* of the last walk that came by */
    uint64_t defined;     /* position of its DEFINE; 0: none since the start */
    union {
        struct map keys;           /* direct: key groups by routing key */
        struct topic_index *topic; /* owned */
        struct roster *roster;     /* owned: x-random, x-…-hash */
        struct history *history;   /* owned: x-recent-history */
        void *own;                 /* owned: what another kind keeps */
    };
};

enum headers_match { MATCH_ALL, MATCH_ANY, MATCH_ALL_WITH_X, MATCH_ANY_WITH_X };

struct binding {
    struct map_node in_vhost;
    struct exchange *source;
    struct queue *queue;   /* the destination: either a queue … */
    struct exchange *to;   /* … or an exchange */
    struct link in_source; /* on source->outgoing */
    struct link in_destination;
    struct link in_index; /* where the source's kind keeps it */
    union {
        void *index_node; /* the kind's own */
        size_t seat;      /* in its source's roster; SIZE_MAX: it has none */
    };
    uint64_t defined;            /* position of its DEFINE; 0: none since the start */
    struct bytes key, arguments; /* in data */
    enum headers_match match;    /* headers: how */
    uint8_t data[];
};

/* The kind of that name, or NULL. */
const struct exchange_kind *exchange_kind_find(struct bytes name);

/* NULL, or why there can be no new exchange with these arguments, of a type that exists; on the heap. */
char *exchange_refuse(const struct spec *spec);

/* A new exchange, known to the vhost.  The spec is copied; its type must exist.  Nothing is recorded. */
struct exchange *exchange_create(struct broker *b, struct vhost *v, const struct spec *spec);

/* Removes it with all bindings from and to it. */
void exchange_delete(struct broker *b, struct exchange *x);

/* Deletes the auto-delete exchanges that have lost their last outgoing binding, and those that lose theirs by that. */
void exchange_delete_doomed(struct broker *b);

/* "exchange 'x' in vhost '/'"; on the heap. */
char *exchange_describe(const struct exchange *x);

/* The binding with exactly this source, destination, key and arguments, or NULL. */
struct binding *binding_find(const struct broker *b, const struct exchange *source, const struct queue *queue,
                             const struct exchange *to, const struct spec *spec);

/* A new binding; nothing is recorded. */
struct binding *binding_create(struct broker *b, struct exchange *source, struct queue *queue, struct exchange *to,
                               const struct spec *spec);

/* Somebody has just made this binding: it is new, and was not restored.  Messages may go over it at once; the answer to
 * who made it comes before. */
void binding_announce(struct broker *b, struct binding *bd);

/* Also dooms the source if it is auto-delete and this was its last. */
void binding_delete(struct broker *b, struct binding *bd);

/* NULL, or why these arguments cannot bind to an exchange of this kind; on the heap. */
char *binding_refuse(const struct exchange *source, const struct spec *spec);

extern const struct exchange_kind exchange_default, exchange_direct, exchange_fanout, exchange_topic, exchange_headers;
extern const struct exchange_kind exchange_consistent_hash, exchange_modulus_hash;
extern const struct exchange_kind exchange_random, exchange_local_random, exchange_recent_history, exchange_delayed,
    exchange_dedup;
#endif
