#define _GNU_SOURCE
#include "broker/net/poller.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

enum { SIGNALS_MAX = 8, TIMEOUT_MAX_MS = 3600 * 1000 };

struct on_signal {
    struct event event;
    signal_fn *fn;
    void *arg; /* borrowed */
};

struct poller {
    struct event_base *base; /* owned */
    struct event timer;
    struct on_signal signals[SIGNALS_MAX];
    unsigned n_signals;
};

struct watch {
    struct event event;
    struct event_base *base; /* borrowed */
    int fd;                  /* borrowed */
    unsigned what;
    watch_fn *fn;
    void *arg; /* borrowed */
};

static struct timeval as_timeval(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000) * 1000};
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg; /* waking up is all that it is for */
}

struct poller *poller_create(void)
{
    struct event_config *config = event_config_new();
    CHECK(config != NULL);
    /* No other thread ever touches a base.  No change list: a descriptor that was closed and came back from accept()
     * before the next look would seem to be watched already. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct poller *p = alloc_zeroed(sizeof *p);
    p->base = event_base_new_with_config(config);
    CHECK(p->base != NULL);
    event_config_free(config);
    evtimer_assign(&p->timer, p->base, on_timer, NULL);
    return p;
}

void poller_destroy(struct poller *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->n_signals; i++)
        event_del(&p->signals[i].event);
    event_del(&p->timer);
    event_base_free(p->base);
    free(p);
}

void poller_turn(struct poller *p, uint64_t timeout_ms)
{
    int flags = EVLOOP_ONCE;
    if (timeout_ms == 0) {
        flags |= EVLOOP_NONBLOCK; /* alone it would go on as long as anything is ready */
    } else if (timeout_ms != UINT64_MAX) {
        if (timeout_ms > TIMEOUT_MAX_MS)
            timeout_ms = TIMEOUT_MAX_MS;
        const struct timeval tv = as_timeval(timeout_ms);
        evtimer_add(&p->timer, &tv);
    }
    event_base_loop(p->base, flags);
    evtimer_del(&p->timer);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct on_signal *s = arg;
    s->fn(s->arg, (int)number);
}

void poller_signal(struct poller *p, int number, signal_fn *fn, void *arg)
{
    CHECK(p->n_signals < SIGNALS_MAX);
    struct on_signal *s = &p->signals[p->n_signals++];
    s->fn = fn;
    s->arg = arg;
    evsignal_assign(&s->event, p->base, number, on_signal, s);
    event_add(&s->event, NULL);
}

struct timer {
    struct event event;
    timer_fn *fn;
    void *arg; /* borrowed */
};

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct timer *t = arg;
    t->fn(t->arg);
}

struct timer *timer_new(struct poller *p, timer_fn *fn, void *arg)
{
    struct timer *t = alloc_zeroed(sizeof *t);
    t->fn = fn;
    t->arg = arg;
    evtimer_assign(&t->event, p->base, on_time, t);
    return t;
}

void timer_set(struct timer *t, uint64_t after_ms)
{
    const struct timeval tv = as_timeval(after_ms);
    evtimer_add(&t->event, &tv);
}

void timer_destroy(struct timer *t)
{
    if (t == NULL)
        return;
    evtimer_del(&t->event);
    free(t);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct watch *w = arg;
    w->fn(w->arg, ((what & EV_READ) != 0 ? WATCH_READ : 0U) | ((what & EV_WRITE) != 0 ? WATCH_WRITE : 0U));
}

struct watch *watch_create(struct poller *p, int fd, watch_fn *fn, void *arg)
{
    struct watch *w = alloc_zeroed(sizeof *w);
    w->base = p->base;
    w->fd = fd;
    w->fn = fn;
    w->arg = arg;
    return w;
}

void watch_destroy(struct watch *w)
{
    if (w == NULL)
        return;
    watch_set(w, 0);
    free(w);
}

void watch_set(struct watch *w, unsigned what)
{
    if (w->what == what)
        return;
    if (w->what != 0)
        event_del(&w->event);
    w->what = what;
    if (what == 0)
        return;
    int flags = EV_PERSIST | ((what & WATCH_READ) != 0 ? EV_READ : 0) | ((what & WATCH_WRITE) != 0 ? EV_WRITE : 0);
    event_assign(&w->event, w->base, w->fd, (short)flags, on_ready, w);
    event_add(&w->event, NULL);
}
