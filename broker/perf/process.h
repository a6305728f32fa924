/* A broker as a process: what it uses, and how to start and stop one. */
#ifndef BROKER_PERF_PROCESS_H
#define BROKER_PERF_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_ns;   /* of all threads that are there now */
    uint64_t rss;      /* bytes */
    uint64_t unshared; /* bytes of it that are nobody else's: private pages */
    uint64_t anon;     /* bytes of it that no file is behind */
    /* Since its start: bytes of pages that it made dirty, or wrote past the page cache, so what a disk gets sooner or
     * later (0 where there is none); but where the kernel keeps a file in large folios, all of a folio counts each time
     * that a byte of it is dirty anew.  And bytes that it wrote with write() and its kin, to files and sockets. */
    uint64_t written, said;
};

/* From /proc; dies if there is no such process. */
struct usage process_usage(pid_t pid);

/* Calls each with the number of every thread of a process; dies if there is none. */
void process_each_thread(pid_t pid, void (*each)(void *arg, pid_t pid, int thread), void *arg);

/* What each of its threads has used, of the first THREADS_MAX; answers how many these are. */
enum { THREADS_MAX = 16 };
struct thread_usage {
    char name[16];
    int id;
    uint64_t cpu_ns;
};
unsigned process_threads(pid_t pid, struct thread_usage to[THREADS_MAX]);

/* The memory alone, once it has not changed by more than a page in SETTLED_MS, but after SETTLE_MS at the latest. */
enum { SETTLED_MS = 500, SETTLE_MS = 10000 };
struct usage process_settle(pid_t pid);

struct process {
    pid_t pid;
    unsigned port;
    int out;       /* its standard output; kept open so that it can write there */
    char dir[256]; /* its data and its log */
};

/* Starts a broker on a port of its own with a folder that is thrown away; each setting is a "key=value" for --set, NULL
 * ends them.  Waits until it is ready.  If the benchmark dies, the broker does, and its log stays.  One at a time; p
 * stays where it is until process_stop().
 *
 * The folder is made in the one that BENCH_DIR names, or else in the current one: no benchmark of a disk should find
 * itself in memory because /tmp is. */
void process_start(struct process *p, const char *program, const char *const *settings);

/* Stops it.  Dies if it does not end well: a broker that crashed has not been measured. */
void process_stop(struct process *p);

/* The same in steps, for a broker that has several lives in one folder. */
void process_make_folder(struct process *p);
void process_launch(struct process *p, const char *program, const char *const *settings);
void process_end(struct process *p);  /* SIGTERM; dies as process_stop() */
void process_kill(struct process *p); /* SIGKILL */
void process_remove_folder(struct process *p);

/* Bytes that the files in a folder take on disk; 0: there is no such folder. */
uint64_t folder_bytes(const char *path);

/* What is written there is written to a disk. */
bool folder_is_on_disk(const char *path);
#endif
