#define _GNU_SOURCE
#include "broker/perf/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"

enum {
    EVENTS_MAX = 256, /* that one question yields */
    TICK_NS = 50000000,
    WAKES = 2, /* what is in the epoll besides the connections: flow->progress and wake, by these numbers … */
};

/* … of an event: who it is for. */
static uint64_t id_of_producer(unsigned i)
{
    return WAKES + i;
}

static uint64_t id_of_consumer(const struct worker *w, unsigned i)
{
    return WAKES + w->producers_count + i;
}

static void watch(const struct worker *w, int how, int fd, uint32_t events, uint64_t id)
{
    struct epoll_event e = {.events = events, .data.u64 = id};
    if (epoll_ctl(w->epoll, how, fd, &e) != 0)
        die("epoll: %s", strerrordesc_np(errno));
}

/* Reads all that is there of a consumer; with TLS more may be there than the socket says. */
static void pull(struct worker *w, unsigned i)
{
    struct consumer *c = &w->consumers[i];
    bool was_stuck = c->is_stuck;
    if (was_stuck)
        consumer_answer(c);
    if (!c->is_stuck)
        while (consumer_pull(c, w->room) && !c->is_stuck && link_is_pending(&c->link))
            ;
    if (c->is_stuck != was_stuck)
        watch(w, EPOLL_CTL_MOD, c->link.fd, c->is_stuck ? EPOLLOUT : EPOLLIN, id_of_consumer(w, i));
}

static void take_event(struct worker *w, const struct epoll_event *e)
{
    uint64_t id = e->data.u64, rings;
    if (id < WAKES) {
        if (read(id == 0 ? w->flow->progress : w->wake, &rings, sizeof rings) < 0 && errno != EAGAIN)
            die("eventfd: %s", strerrordesc_np(errno));
    } else if (id < id_of_consumer(w, 0)) {
        struct producer *p = &w->producers[id - WAKES];
        p->is_writable |= (e->events & EPOLLOUT) != 0;
        if ((e->events & ~(uint32_t)EPOLLOUT) != 0)
            producer_hear(p);
    } else {
        pull(w, (unsigned)(id - id_of_consumer(w, 0)));
    }
}

/* Each producer writes once; true: some of them did. */
static bool push_all(struct worker *w, uint64_t now)
{
    bool any = false;
    for (unsigned i = 0; i < w->producers_count; i++)
        any |= producer_push(&w->producers[(w->next + i) % w->producers_count], now);
    if (w->producers_count > 0)
        w->next = (w->next + 1) % w->producers_count;
    return any;
}

/* How long nothing is to be done if nothing comes; 0: go on at once. */
static uint64_t may_sleep_ns(struct worker *w)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < w->producers_count; i++) {
        uint64_t due = producer_due(&w->producers[i]);
        next = due < next ? due : next;
    }
    if (next == UINT64_MAX)
        return TICK_NS;
    uint64_t now = now_ns();
    uint64_t left = next > now ? next - now : 0;
    return left < TICK_NS ? left : TICK_NS;
}

/* Sleeps until something comes (true), or so long.  A whole number of milliseconds, as epoll_wait() has it, would be
 * far too long for a rate. */
static bool sleep_ns(const struct worker *w, uint64_t ns)
{
    struct pollfd p = {.fd = w->epoll, .events = POLLIN};
    const struct timespec most = {.tv_nsec = (long)ns};
    return ppoll(&p, 1, &most, NULL) != 0;
}

static void wait_for_events(struct worker *w, bool may_sleep)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t ns = may_sleep ? may_sleep_ns(w) : 0;
    if (ns > 0 && ns < TICK_NS && !sleep_ns(w, ns))
        return; /* something is due */
    int n = epoll_wait(w->epoll, events, EVENTS_MAX, ns == TICK_NS ? TICK_NS / 1000000 : 0);
    if (n < 0 && errno != EINTR)
        die("epoll: %s", strerrordesc_np(errno));
    for (int i = 0; i < n; i++)
        take_event(w, &events[i]);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct flow *f = w->flow;
    bool has_clock = f->o->rate > 0 || f->o->has_latency || f->o->has_confirm_latency;
    bool is_rung = w->producers_count > 0 && w->consumers_count == 0 && f->o->backlog > 0;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    for (unsigned i = 0; i < w->consumers_count; i++)
        pull(w, i); /* TLS may have read more than was asked for so far */
    while (!atomic_load_explicit(&f->is_over, memory_order_relaxed)) {
        bool any = push_all(w, has_clock ? now_ns() : 0);
        if (!any && is_rung) { /* asked again once they know that we sleep: they may have been in between */
            atomic_store(&f->is_waiting, true);
            any = push_all(w, has_clock ? now_ns() : 0);
        }
        wait_for_events(w, !any && !f->o->is_spinning);
        if (is_rung)
            atomic_store_explicit(&f->is_waiting, false, memory_order_relaxed);
    }
    return NULL;
}

void worker_start(struct worker *w, struct flow *f, struct producer *producers, unsigned producers_count,
                  struct consumer *consumers, unsigned consumers_count)
{
    *w = (struct worker){.flow = f,
                         .producers = producers,
                         .producers_count = producers_count,
                         .consumers = consumers,
                         .consumers_count = consumers_count,
                         .epoll = epoll_create1(EPOLL_CLOEXEC),
                         .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                         .room = alloc(CONSUMER_ROOM)};
    if (w->epoll < 0 || w->wake < 0)
        die("epoll: %s", strerrordesc_np(errno));
    watch(w, EPOLL_CTL_ADD, f->progress, producers_count > 0 ? EPOLLIN : 0, 0);
    watch(w, EPOLL_CTL_ADD, w->wake, EPOLLIN, 1);
    for (unsigned i = 0; i < producers_count; i++)
        watch(w, EPOLL_CTL_ADD, producers[i].link.fd, EPOLLIN | EPOLLOUT | EPOLLET, id_of_producer(i));
    for (unsigned i = 0; i < consumers_count; i++)
        watch(w, EPOLL_CTL_ADD, consumers[i].link.fd, EPOLLIN, id_of_consumer(w, i));
    int wrong = pthread_create(&w->thread, NULL, work, w);
    if (wrong != 0)
        die("no thread: %s", strerrordesc_np(wrong));
}

void worker_stop(struct worker *w)
{
    uint64_t one = 1;
    if (write(w->wake, &one, sizeof one) < 0)
        die("eventfd: %s", strerrordesc_np(errno));
    pthread_join(w->thread, NULL);
    close(w->epoll);
    close(w->wake);
    free(w->room);
}
