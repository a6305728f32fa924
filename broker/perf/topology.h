/* The queues, the exchange and the bindings that a run needs: their names, and how they come and go. */
#ifndef BROKER_PERF_TOPOLOGY_H
#define BROKER_PERF_TOPOLOGY_H

#include "broker/perf/link.h"
#include "broker/perf/options.h"

struct topology {
    const struct perf_options *o; /* borrowed */
    char *exchange;               /* owned; "": the default exchange */
    char **queues;                /* owned strings, all of one length */
    unsigned queues_count;
    const char *const *keys; /* borrowed: what is published to; the queues' names, or one key for all */
    unsigned keys_count;
    unsigned copies; /* queues that a message goes to */
};

/* Names only; nothing is said to a broker. */
void topology_init(struct topology *t, const struct perf_options *o);
void topology_fini(struct topology *t);

/* Declares and binds; all of it is there when this is done. */
void topology_declare(const struct topology *t, struct link *l);

/* Deletes what has a name of its own; what the user named stays. */
void topology_delete(const struct topology *t, struct link *l);

/* The binding number i of those that match no key: some with a wildcard, all with the first word of the key. */
enum { TOPOLOGY_KEY_ROOM = 256 };
void topology_other_key(const struct topology *t, uint64_t i, char to[TOPOLOGY_KEY_ROOM]);
#endif
