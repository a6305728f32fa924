#include "broker/admin/ticker.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

struct ticker {
    struct event *event; /* owned */
    ticker_fn *call;
    void *arg;
};

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    const struct ticker *t = arg;
    t->call(t->arg);
}

static struct ticker *create(struct event_base *base, int fd, short what, ticker_fn *call, void *arg)
{
    struct ticker *t = alloc_zeroed(sizeof *t);
    t->call = call;
    t->arg = arg;
    t->event = event_new(base, fd, what, on_event, t);
    CHECK(t->event != NULL);
    return t;
}

struct ticker *ticker_create(struct event_base *base, ticker_fn *call, void *arg)
{
    return create(base, -1, 0, call, arg);
}

struct ticker *ticker_watch(struct event_base *base, int fd, ticker_fn *call, void *arg)
{
    struct ticker *t = create(base, fd, EV_READ | EV_PERSIST, call, arg);
    event_add(t->event, NULL);
    return t;
}

void ticker_destroy(struct ticker *t)
{
    if (t == NULL)
        return;
    event_free(t->event);
    free(t);
}

void ticker_set(struct ticker *t, uint64_t ms)
{
    enum { MS_PER_S = 1000, US_PER_MS = 1000 };
    const struct timeval after = {.tv_sec = (time_t)(ms / MS_PER_S),
                                  .tv_usec = (suseconds_t)(ms % MS_PER_S * US_PER_MS)};
    event_add(t->event, &after);
}

void ticker_stop(struct ticker *t)
{
    event_del(t->event);
}
