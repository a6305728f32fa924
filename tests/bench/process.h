/* A broker as a process: what it uses, and how to start and stop one. */
#ifndef TESTS_BENCH_PROCESS_H
#define TESTS_BENCH_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_ns;   /* of all threads that are there now */
    uint64_t rss;      /* bytes */
    uint64_t unshared; /* bytes of it that are nobody else's: private pages */
};

/* From /proc; dies if there is no such process. */
struct usage process_usage(pid_t pid);

/* The memory alone, once it has not changed by more than a page in SETTLED_MS, but after SETTLE_MS at the latest. */
enum { SETTLED_MS = 500, SETTLE_MS = 10000 };
struct usage process_settle(pid_t pid);

struct process {
    pid_t pid;
    unsigned port;
    int out;      /* its standard output; kept open so that it can write there */
    char dir[64]; /* its data and its log */
};

/* Starts a broker on a port of its own with a folder that is thrown away; each setting is a "key=value" for --set, NULL
 * ends them.  Waits until it is ready.  If the benchmark dies, the broker does, and its log stays.  One at a time; p
 * stays where it is until process_stop(). */
void process_start(struct process *p, const char *program, const char *const *settings);

/* Stops it.  Dies if it does not end well: a broker that crashed has not been measured. */
void process_stop(struct process *p);
#endif
