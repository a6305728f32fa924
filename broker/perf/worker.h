/* A thread of a run: some producers, some consumers, one epoll. */
#ifndef BROKER_PERF_WORKER_H
#define BROKER_PERF_WORKER_H

#include <pthread.h>

#include "broker/perf/consumer.h"
#include "broker/perf/producer.h"

struct worker {
    struct flow *flow;          /* borrowed */
    struct producer *producers; /* borrowed, as the consumers are; all of the run's, or none */
    unsigned producers_count;
    struct consumer *consumers;
    unsigned consumers_count;
    pthread_t thread;
    int epoll;
    int wake;      /* owned eventfd: rung when it is over */
    unsigned next; /* producer whose turn is first: all get their share of what may wait */
    uint8_t *room; /* owned; what consumers read into */
};

/* Starts the thread; it works until flow->is_over. */
void worker_start(struct worker *w, struct flow *f, struct producer *producers, unsigned producers_count,
                  struct consumer *consumers, unsigned consumers_count);

/* Waits until it has ended, once is_over is set. */
void worker_stop(struct worker *w);
#endif
