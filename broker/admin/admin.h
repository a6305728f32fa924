/* The administration: RabbitMQ's HTTP API (reference operations 1), as a client of the hub, on a thread of its own.
 *
 * It listens on a UNIX socket, whose file permissions are the guard: whoever can open it is an administrator.  A
 * request becomes commands from a desk (port/ids.h), whose answers come back to this thread's lane; the model is never
 * touched from here.  api.h says what there is, request.h how a request goes on its way.
 */
#ifndef BROKER_ADMIN_ADMIN_H
#define BROKER_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"
#include "base/lane.h"

struct credential;
struct hub;

enum {
    ADMIN_CONNECTIONS_MAX = 256,
    ADMIN_HEADER_BYTES_MAX = 16 << 10,
    ADMIN_BODY_BYTES_MAX = 20 << 20,
    ADMIN_TRIM_BYTES = 16 << 20, /* of an answer, behind which memory is given back to the system */
    ADMIN_TIMEOUT_S = 60,        /* for the next byte of a request, or until an answer's next byte is taken */
};

/* What the journal says of itself, since the start. */
struct admin_measures {
    struct histogram queueing_us; /* from the hub to the journal's thread, a turn's records */
    struct histogram write_us;    /* a group */
    struct histogram sync_us;     /* a sync */
    uint64_t written_bytes, slow_syncs, full_writes;
    uint64_t journal_bytes, pack_bytes, checkpoint_bytes; /* on disk now */
    uint64_t buffered_bytes, image_bytes;                 /* in memory: to be written, and what is known of the rest */
};

/* What the rest of the program gives; all borrowed, and outlives the administration.  Functions are called on its
 * thread; NULL: there is no such thing. */
struct admin_config {
    const char *socket; /* path */
    const char *node, *cluster_name;
    const char *product_version, *version; /* ours, and whose behaviour it is */
    const char *data_dir;
    const char *listeners; /* "amqp 127.0.0.1:5672, unix:/run/a.sock, amqps [::1]:5671", as server_addresses() says */
    const char *hashing_algorithm;
    struct credential *credential;     /* what passwords must be like; this thread's alone */
    uint64_t connections_max;          /* 0: no limit */
    uint64_t memory_limit, disk_limit; /* that raise the alarms */
    uint64_t statistics_interval_ms;   /* between samples of what is counted */
    bool is_without_rates;             /* nothing is sampled */
    bool has_metrics_per_object;       /* /metrics is /metrics/per-object */
    void (*measure)(void *arg, struct admin_measures *to);
    void (*print_environment)(void *arg, FILE *to); /* the configuration in effect, without secrets */
    void (*reload)(void *arg);                      /* reads again what can be read again */
    void (*rotate_logs)(void *arg);                 /* opens log files anew */
    void (*stop)(void *arg);                        /* asks for the broker's end */
    int64_t (*certificate_expiry)(void *arg);       /* seconds since 1970 of the earliest one; INT64_MAX: none */
    void *arg;
};

struct admin;

/* Listens: the socket is there, with mode 0600, and nobody is served yet.  One that nobody listens on any more is
 * replaced.  NULL: *error says why, and the caller frees it. */
struct admin *admin_create(const struct admin_config *config, char **error);

/* Where answers for it are to be posted (server_seat()). */
struct lane *admin_lane(struct admin *a);

/* Serves, on a thread of its own; `to` is where commands are posted; both are borrowed. */
void admin_start(struct admin *a, struct lane *to, const struct hub *hub);

/* Ends the thread and removes the socket; requests that were under way are given up.  Any thread, once. */
void admin_stop(struct admin *a);

/* After the hub has ended; drops what still came.  NULL is allowed. */
void admin_destroy(struct admin *a);
#endif
