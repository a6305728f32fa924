/* What a broker uses, seen from outside: processor time and memory of a process and all that descend from it.
 *
 * One number is not always one process: RabbitMQ is a shell, a virtual machine and its helpers.  So a server is a tree,
 * looked up once; processes that it starts later do not count, and what a process used that has ended meanwhile is
 * lost.  Everything comes from the kernel and nothing from the broker, so all brokers are measured alike.
 */
#ifndef BROKER_PERF_SERVER_H
#define BROKER_PERF_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/perf/result.h"

enum { PERF_SERVER_PROCESSES_MAX = 64 };

struct perf_server {
    pid_t pids[PERF_SERVER_PROCESSES_MAX]; /* the first is whom it began with */
    unsigned count;
};

/* 0, or -ESRCH if there is no such process. */
int perf_server_find(struct perf_server *s, pid_t pid);

/* What it has used until now.  False: the first process is gone, and *to is all zeros. */
bool perf_server_look(const struct perf_server *s, struct perf_usage *to);

/* The same without the threads, which takes a tenth of the time. */
bool perf_server_glance(const struct perf_server *s, struct perf_usage *to);

/* Lets rss_peak begin anew.  False: the kernel does not let us, and it stays that since the start. */
bool perf_server_forget_peak(const struct perf_server *s);

/* Resident bytes, counted page by page, which takes the kernel longer. */
uint64_t perf_server_memory(const struct perf_server *s);

/* The same once it has changed by no more than a page in PERF_SETTLED_MS, but after PERF_SETTLE_MS at the latest. */
enum { PERF_SETTLED_MS = 500, PERF_SETTLE_MS = 10000 };
uint64_t perf_server_settle(const struct perf_server *s);

/* How many files each of its processes may have open: the fewest. */
uint64_t perf_server_files_allowed(const struct perf_server *s);

/* What threads used between two looks, those of one name together, the busiest first; those that used nothing are left
 * out.  A pool's threads, which differ by a number before or behind a name ("1_scheduler", "loop-3"), count as of one
 * name, with # for the number.  Answers how many names there are, at most PERF_THREADS_MAX. */
struct perf_busy {
    char name[16];
    unsigned threads;
    uint64_t cpu_ns;
};
unsigned perf_busy_since(const struct perf_usage *from, const struct perf_usage *to, struct perf_busy *busy);
#endif
