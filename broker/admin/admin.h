/* The administration: RabbitMQ's HTTP API (reference operations 1), as a client of the hub, on a thread of its own.
 *
 * It has three kinds of doors (docs/adr/0017): a UNIX socket, whose file permissions are the guard, so that whoever can
 * open it is an administrator; the management's ports, for users with a password; and those for metrics alone.  A
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
#include "broker/net/address.h"

struct credential;
struct hub;
struct login_rules;
struct tls;
struct tls_facts;

enum {
    ADMIN_BODY_BYTES_MAX = 64 << 10,   /* of most requests … */
    ADMIN_IMPORT_BYTES_MAX = 20 << 20, /* … of definitions, and of all over the control socket */
    ADMIN_TRIM_BYTES = 16 << 20,       /* of an answer, behind which memory is given back to the system */
};

/* Which door a request came in by. */
enum entrance {
    ENTRANCE_CONTROL = 1 << 0,    /* the UNIX socket */
    ENTRANCE_MANAGEMENT = 1 << 1, /* port 15672 */
    ENTRANCE_METRICS = 1 << 2,    /* port 15692 */
};

/* A port that is listened at. */
struct admin_door {
    enum entrance entrance;
    int fd;                 /* owned, until an administration takes it: -1 then */
    struct tls *tls;        /* borrowed, for HTTPS; NULL: plain */
    struct address address; /* where that is */
    const void *site;       /* its owner's */
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

/* "region = eu", which lists show: of the node, or of the cluster. */
struct admin_label {
    bool is_nodes;
    const char *name, *value; /* borrowed */
};

/* What the rest of the program gives; all borrowed, and outlives the administration.  Functions are called on its
 * thread; NULL: there is no such thing. */
struct admin_config {
    const char *socket;       /* path; NULL: there is none */
    struct admin_door *doors; /* their sockets are taken over */
    unsigned n_doors;
    struct login_rules *login;                     /* for whoever comes by them */
    const char *path_prefix;                       /* "" or "/rabbit": what the management's paths begin with */
    const char *metrics_path;                      /* "/metrics": what is asked for at the metrics' ports */
    bool has_metrics_login;                        /* … by users alone */
    const char *content_policy, *transport_policy; /* headers, CSP and HSTS; NULL: ours, none */
    const char *sniff_header, *referrer_header;    /* likewise, by what they are about; "": none, NULL: none */
    const char *frame_header, *xss_header;
    const struct admin_label *labels; /* of the cluster and of this node */
    unsigned n_labels;
    unsigned session_minutes;     /* 0: nothing is said of it */
    unsigned idle_ms, head_ms;    /* http.h's HTTP_IDLE_MS and HTTP_HEAD_MS; 0: those */
    bool keeps_operator_policies; /* they cannot be changed but over the control socket */
    const char *const *origins;   /* whose pages may ask (browser.h) */
    unsigned n_origins, cors_age_s;
    size_t publish_bytes_max; /* of a body of a publish */
    const char *node, *cluster_name;
    const char *product_version, *version; /* ours, and whose behaviour it is */
    const char *data_dir;
    const char *const *config_files; /* that were read */
    size_t n_config_files;
    const char *log_file; /* NULL: there is none */
    bool has_log_console;
    const char *listeners; /* "amqp 127.0.0.1:5672, unix:/run/a.sock, amqps [::1]:5671, http 127.0.0.1:15672" */
    const char *hashing_algorithm;
    struct credential *credential;     /* what passwords must be like; this thread's alone */
    uint64_t connections_max;          /* 0: no limit */
    uint64_t memory_limit, disk_limit; /* that raise the alarms */
    uint64_t statistics_interval_ms;   /* between samples of what is counted */
    bool is_without_rates;             /* nothing is sampled */
    bool has_metrics_per_object;       /* /metrics is /metrics/per-object */
    void (*measure)(void *arg, struct admin_measures *to);
    char *(*set_key)(void *arg, const char *key, const char *value); /* NULL, or what is wrong: on the heap */
    void (*print_environment)(void *arg, FILE *to);                  /* the configuration in effect, without secrets */
    void (*reload)(void *arg);                                       /* reads again what can be read again */
    void (*rotate_logs)(void *arg);                                  /* opens log files anew */
    void (*stop)(void *arg);                                         /* asks for the broker's end */
    int (*suspend)(void *arg, bool is_suspended); /* whether clients can connect for AMQP; 0 or -errno */
    bool (*is_suspended)(void *arg);
    int64_t (*certificate_expiry)(void *arg);             /* seconds since 1970 of the earliest one; INT64_MAX: none */
    bool (*certificate)(void *arg, struct tls_facts *to); /* what AMQP is spoken with; false: there is none */
    void *arg;
};

struct admin;

/* Listens: the socket is there, with mode 0600, and nobody is served yet.  One that nobody listens on any more is
 * replaced.  NULL: the socket cannot be had, *error says why, and the caller frees it; the doors were not taken. */
struct admin *admin_create(const struct admin_config *config, char **error);

/* Where answers for it are to be posted (server_seat()). */
struct lane *admin_lane(struct admin *a);

/* Serves, on a thread of its own; `to` is where commands are posted; both are borrowed. */
void admin_start(struct admin *a, struct lane *to, const struct hub *hub);

/* Reads the doors' certificates again; for connections that begin after that.  Any thread. */
void admin_reload_certificates(struct admin *a);

/* What lists show as limits from now on.  Any thread. */
struct admin_limits {
    uint64_t connections_max, memory_limit, disk_limit;
    bool has_disk_limit; /* else it stays */
};
void admin_set_limits(struct admin *a, const struct admin_limits *l);

/* When the first of them ends, in seconds since 1970; INT64_MAX: there are none.  Any thread. */
int64_t admin_certificate_expiry(struct admin *a);

/* Ends the thread and removes the socket; requests that were under way are given up.  Any thread, once. */
void admin_stop(struct admin *a);

/* After the hub has ended; drops what still came.  NULL is allowed. */
void admin_destroy(struct admin *a);
#endif
