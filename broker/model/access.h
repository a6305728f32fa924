/* What a user may do in a virtual host (reference queue-features 12.2, 12.3).
 *
 * Patterns are matched once for a name: the decision is remembered until the rights change.  A publish that goes where
 * the last one went is not even looked up: routes are remembered with the topology's version, which goes up with every
 * change of rights.  What is taken away is taken away at once.
 *
 * Clients choose the names that patterns meet, so a pattern that chokes on some of them is a means to hold everybody
 * up.  A match that is not over after ACCESS_STEPS may go on only so often, for one user in one virtual host: once in
 * ACCESS_DEAR_MS, ACCESS_DEAR_BURST times at once.  Otherwise the answer is no, for this time.
 */
#ifndef BROKER_MODEL_ACCESS_H
#define BROKER_MODEL_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

struct broker;
struct exchange;
struct outlet;
struct pattern;
struct spec;
struct user;
struct vhost;

enum {
    ACCESS_DECISIONS_MAX = 4096, /* remembered for one user in one virtual host; then all are forgotten */
    ACCESS_STEPS = 2000,         /* of matching: some 50 microseconds */
    ACCESS_DEAR_MS = 50,
    ACCESS_DEAR_BURST = 20,
};

enum right { RIGHT_CONFIGURE, RIGHT_WRITE, RIGHT_READ, RIGHTS };
enum resource { RESOURCE_QUEUE, RESOURCE_EXCHANGE };

/* That a user may come into a virtual host, and with which patterns. */
struct access {
    struct map_node in_vhost; /* by the user's name */
    struct link in_user;
    struct user *user;                /* borrowed */
    struct vhost *vhost;              /* borrowed */
    struct spec *spec;                /* owned: as it was defined */
    struct pattern *patterns[RIGHTS]; /* owned */
    bool is_all[RIGHTS];              /* the pattern is .* */
    struct map decisions;             /* struct decision, owned: by resource and name */
    uint64_t dear_until_ms;           /* dear matches are paid for until then */
    struct list outlets;              /* whose rights these are: in_access */
};

/* A user's rights to routing keys of a topic exchange; where there is none, all keys are allowed. */
struct topic_access {
    struct map_node in_vhost; /* by user and exchange */
    struct link in_user;
    struct vhost *vhost;          /* borrowed */
    struct spec *spec;            /* owned: as it was defined */
    struct pattern *write, *read; /* owned */
};

/* NULL, or why these are no patterns; on the heap. */
char *access_refuse(const struct spec *spec);
char *topic_access_refuse(const struct spec *spec);

struct access *access_find(const struct vhost *v, struct bytes user);

/* It is so from now on; the user and the virtual host exist, and access_refuse() had nothing to say.  Consumers of what
 * may not be read any more are cancelled.  True: that changes something. */
bool access_put(struct broker *b, struct vhost *v, struct user *u, const struct spec *spec);

/* The user may not come in any more: connections that are there are told why, and end. */
void access_remove(struct broker *b, struct access *a, const char *why);

/* Of the machine's administrator, who may do everything; made if need be. */
struct access *access_of_machine(struct broker *b, struct vhost *v);

/* Ends the connections that have these rights. */
void access_expel(struct broker *b, struct access *a, const char *why);

struct topic_access *topic_access_find(const struct vhost *v, struct bytes user, struct bytes exchange);
bool topic_access_put(struct broker *b, struct vhost *v, struct user *u, const struct spec *spec);
void topic_access_remove(struct broker *b, struct topic_access *t);

/* May it?  The name of the default exchange is amq.default here. */
bool access_allows(struct broker *b, const struct outlet *o, enum right right, enum resource what, struct bytes name);

/* The same for a routing key of an exchange, beside access_allows(); right: write or read. */
bool access_allows_key(const struct broker *b, const struct outlet *o, enum right right, const struct exchange *x,
                       struct bytes key);

/* "write access to exchange 'x' in vhost '/' refused for user 'u'"; on the heap. */
char *access_refusal(const struct outlet *o, enum right right, enum resource what, struct bytes name);
char *access_key_refusal(const struct outlet *o, enum right right, const struct exchange *x, struct bytes key);

/* Frees all rights of a virtual host; nobody uses them any more, and nothing is recorded. */
void access_forget_all(struct vhost *v);
#endif
