/* What a run of millrace-perf shall do: the command line as a struct.
 *
 * Letters are those of rabbitmq-perf-test where it has the option.  Everything is checked when it is read: a struct
 * that came from perf_options_read() can be run.
 */
#ifndef BROKER_PERF_OPTIONS_H
#define BROKER_PERF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/perf/uri.h"

enum {
    PERF_LINKS_MAX = 20000, /* producers, and as many consumers */
    PERF_QUEUES_MAX = 100000,
    PERF_BINDINGS_MAX = 10000000,
    PERF_IDLE_MAX = 1000000, /* idle connections, or queues */
    PERF_BODY_MAX = 128 << 20,
    PERF_WINDOW_MAX = 1 << 20, /* unconfirmed publishes of one producer */
    PERF_SECONDS_MAX = 7 * 86400,
    PERF_SETTINGS_MAX = 32,
    PERF_CPUS_MAX = 1024,
    PERF_STAMP_SIZE = 16,          /* --latency: so much of a body is the time at which it was sent, and whose it is */
    PERF_BACKLOG = 200000,         /* the default of --backlog … */
    PERF_BACKLOG_BYTES = 64 << 20, /* … but not more bytes than these, on the wire */
};

#define PERF_COUNT_MAX UINT64_C(1000000000000)
#define PERF_RATE_MAX UINT64_C(100000000)

enum perf_churn {
    PERF_CHURN_NONE,
    PERF_CHURN_CONNECTIONS,     /* connect, log in, open a channel, close */
    PERF_CHURN_CONNECTIONS_TLS, /* the same with TLS, whatever the URI says */
    PERF_CHURN_CHANNELS,        /* open and close on connections that stay */
    PERF_CHURN_QUEUES,          /* declare and delete transient queues, pipelined */
    PERF_CHURN_SERVER_NAMED,    /* the same with names that the broker makes */
};

enum perf_idle { PERF_IDLE_NONE, PERF_IDLE_CONNECTIONS, PERF_IDLE_QUEUES };

/* All strings are borrowed, from argv or from literals, and live as long as argv, but for those in uri. */
struct perf_options {
    /* Whom to measure. */
    struct perf_uri uri;                         /* --uri, -h; owned: perf_options_fini() */
    const char *program;                         /* --start: a broker of its own; NULL: the one that uri names */
    const char *settings[PERF_SETTINGS_MAX + 1]; /* --set KEY=VALUE, for it; NULL ends them */
    unsigned settings_count;
    int pid;                    /* --pid: the broker's process; 0: nothing is known of it */
    int cpu_server, cpu_client; /* the processor each is bound to; -1: any */

    /* TLS. */
    const char *ca_file, *cert_file,
        *key_file;           /* --cacert, --cert, --key; NULL: none.  Without a CA nothing is verified */
    const char *tls_version; /* "1.2" or "1.3" */

    /* Who works: */
    unsigned producers, consumers; /* -x, -y; may be 0; by default one each for a queue, one producer if all share */
    unsigned queues;               /* --queues */
    unsigned threads;              /* --threads: 2, producers and consumers have one each, or 1 for both */
    bool is_spinning;              /* --spin: never sleeps, only asks again; for the last microsecond of a latency */

    /* What is declared. */
    const char *queue;         /* -u; NULL: a name of its own.  With --queues more than 1 a number follows it */
    const char *queue_type;    /* --queue-type, x-queue-type; NULL: the broker's default */
    const char *exchange;      /* -e; "": the default exchange.  With a type but no name, one of its own */
    const char *exchange_type; /* -t; "direct", "fanout", "topic" */
    const char *routing_key;   /* -k; NULL: each queue's name */
    uint64_t bindings;         /* --bindings: of a topic exchange, that do not match */
    bool is_durable;           /* --durable: queues and exchange */
    bool is_predeclared;       /* --predeclared: nothing is declared, bound or deleted */
    bool is_fanout;            /* --fanout N, or -t fanout: each message goes to every queue */

    /* Messages. */
    size_t size;                      /* -s: of a body */
    bool is_persistent, is_mandatory; /* -f */
    unsigned window;                  /* -c: publishes that a producer has unconfirmed at most; 0: no confirms */
    unsigned acks;                    /* -A: an acknowledgement for so many; 0: automatic */
    unsigned prefetch;                /* -q; 0: no limit */
    uint64_t rate;                    /* -r: publishes a second, of all producers together; 0: as many as go */
    uint64_t backlog;                 /* --backlog: messages that may wait in all queues; 0: no limit */

    /* How long: the first of these that is reached. */
    unsigned seconds;           /* -z; 0: no limit */
    unsigned warm_up;           /* --warm-up: seconds before those, not measured */
    uint64_t producer_messages; /* -C: of each producer; 0: no limit */
    uint64_t consumer_messages; /* -D: of each consumer; 0: no limit */

    /* Instead of messages. */
    enum perf_churn churn;
    enum perf_idle idle;
    unsigned idle_count;

    /* What is told. */
    bool has_latency, has_confirm_latency;
    bool has_progress, is_quiet;
    const char *json_file, *svg_file; /* NULL: none; "-": standard output */
    const char *label;                /* "": none */
};

/* Reads argv.  0: o is whole; 1: something is wrong, which was said on standard error; 2: help or the version was asked
 * for and printed. */
enum { PERF_OPTIONS_OK, PERF_OPTIONS_WRONG, PERF_OPTIONS_HELPED };
int perf_options_read(struct perf_options *o, int argc, char **argv);
void perf_options_fini(struct perf_options *o);

/* "connections", "queues" …; "none". */
const char *perf_churn_name(enum perf_churn churn);
const char *perf_idle_name(enum perf_idle idle);
#endif
