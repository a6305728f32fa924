#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/state.h"

void effects_init(struct effects *e)
{
    *e = (struct effects){0};
}

void effects_fini(struct effects *e)
{
    for (size_t i = 0; i < e->n; i++)
        event_drop(&e->events[i]);
    free(e->events);
    effects_init(e);
}

void effects_clear(struct effects *e)
{
    e->n = 0;
    e->alarms_changed = false;
}

struct event *broker_tell(struct broker *b, enum happening what, struct origin to)
{
    struct effects *out = b->effects;
    if (out->n == out->capacity) {
        out->capacity = alloc_grown(out->capacity, out->n + 1);
        out->events = alloc_array(out->events, out->capacity, sizeof(struct event));
    }
    struct event *e = &out->events[out->n++];
    *e = (struct event){.what = what, .to = to};
    return e;
}

struct event *broker_done(struct broker *b, const struct command *c, struct spec *spec)
{
    struct event *e = broker_tell(b, DONE, c->from);
    e->verb = c->verb;
    e->cookie = c->cookie;
    e->done.spec = spec;
    return e;
}
