/* What a result comes to: rates, and what one of whatever was measured cost.  All reports say the same because they all
 * ask here. */
#ifndef BROKER_PERF_SUMMARY_H
#define BROKER_PERF_SUMMARY_H

#include "broker/perf/result.h"
#include "broker/perf/server.h"

struct perf_summary {
    double seconds;            /* that were measured; 0: nothing was */
    struct perf_counts counts; /* of these seconds alone */

    /* What cost is counted for: an operation of churn; a delivery, where one publish goes to many queues; a publish or
     * a delivery, where there is only the one; and else a message, published once and delivered once, of which there
     * are as many as half of both. */
    const char *unit; /* "operation", "delivery", "publish", "message" */
    double units;     /* 0: nothing happened */

    /* Nanoseconds of processor time for one unit, and how many processors were busy with it. */
    double client_ns, client_busy;
    double server_ns, server_busy; /* 0 if no process is known */
    double user_ns, kernel_ns;     /* of server_ns */
    unsigned busy_count;
    struct perf_busy busy[PERF_THREADS_MAX];
    double disk_per_byte; /* bytes that go to a disk for each byte of a body that was published */
};

void perf_summary_make(struct perf_summary *s, const struct perf_result *r);

/* n a second, of those that were measured. */
double perf_summary_rate(const struct perf_summary *s, uint64_t n);

/* What was asked for in a few words: "100 B, 2 producers, 2 consumers, 2 queues, persistent, confirms of 1000". */
enum { PERF_WORDS_ROOM = 256 };
void perf_summary_words(char to[PERF_WORDS_ROOM], const struct perf_options *o);

/* The difference of two moments. */
struct perf_counts perf_counts_between(const struct perf_counts *from, const struct perf_counts *to);
#endif
