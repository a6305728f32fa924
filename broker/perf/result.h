/* What a run yields: everything that a report says, in plain numbers. */
#ifndef BROKER_PERF_RESULT_H
#define BROKER_PERF_RESULT_H

#include <stdbool.h>
#include <stdint.h>

struct latency; /* broker/perf/latency.h */
struct perf_options;

enum { PERF_THREADS_MAX = 64, PERF_NAME_ROOM = 128 };

/* What a process has used since its start. */
struct perf_thread {
    char name[16];
    int id;
    uint64_t cpu_ns;
};
struct perf_usage {
    uint64_t cpu_ns;             /* of all its threads, those included that have ended where the kernel tells */
    uint64_t user_ns, kernel_ns; /* the same in two parts; coarser, by ticks of the clock */
    uint64_t rss, rss_peak;      /* bytes */
    uint64_t written;            /* bytes that went, or will go, to a disk */
    unsigned threads_count;
    struct perf_thread threads[PERF_THREADS_MAX]; /* by name and id, the busiest if there are more */
};

/* What has been counted since the run began. */
struct perf_counts {
    uint64_t published, confirmed, refused; /* publishes; refused: basic.nack */
    uint64_t returned;                      /* mandatory ones that no queue took */
    uint64_t consumed, settled;             /* deliveries; settled: acknowledged by the client */
    uint64_t redelivered;                   /* of those consumed */
    uint64_t sent, received;                /* bytes, on all connections */
    uint64_t operations; /* churn: a connection opened and closed, a queue declared and deleted … */
};

/* A moment of the run: all counters as they were then. */
struct perf_sample {
    uint64_t ns; /* since the run began; of the monotonic clock */
    struct perf_counts at;
    uint64_t client_cpu_ns;             /* this process's */
    uint64_t server_cpu_ns, server_rss; /* 0: not known */
};

/* What --churn could not do, and what --idle has made. */
struct perf_churned {
    uint64_t failed; /* operations that the broker refused or broke off: whole run */
};
struct perf_idled {
    uint64_t count;                 /* of what is there */
    uint64_t rss_before, rss_after; /* the server's */
};

struct perf_result {
    const struct perf_options *options;                    /* borrowed */
    char product[PERF_NAME_ROOM], version[PERF_NAME_ROOM]; /* as the broker calls itself; "": it does not */
    int64_t started_at;                                    /* seconds since 1970 */

    /* The samples of the whole run, one a second and one at each edge, in order of time.  What was measured lies
     * between samples[from] and the last: what came before was to warm up. */
    struct perf_sample *samples; /* owned */
    unsigned samples_count, samples_room, from;

    /* Of what was measured. */
    struct latency *latency;                  /* owned; from publish, or when it was due, to delivery; of churn: of an
          operation; NULL: not asked for */
    struct latency *confirm_latency;          /* owned; from publish, or when it was due, to confirm; NULL */
    struct perf_usage server_from, server_to; /* zeroed: no process is known */
    bool has_server;
    uint64_t sends, fills; /* system calls that wrote publishes, that read deliveries: whole run */
    uint64_t blocked;      /* times that the broker said connection.blocked: whole run */

    struct perf_churned churned;
    struct perf_idled idled;
};

void perf_result_init(struct perf_result *r, const struct perf_options *o);
void perf_result_fini(struct perf_result *r);

/* Room for one more sample, zeroed, which is the last then. */
struct perf_sample *perf_result_add_sample(struct perf_result *r);

/* The edges of what was measured; both NULL: there are no samples. */
const struct perf_sample *perf_result_first(const struct perf_result *r);
const struct perf_sample *perf_result_last(const struct perf_result *r);
#endif
