#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"

void effects_init(struct effects *e)
{
    *e = (struct effects){0};
    sheaf_init(&e->records);
}

void effects_fini(struct effects *e)
{
    for (size_t i = 0; i < e->n; i++)
        event_drop(&e->events[i]);
    free(e->events);
    sheaf_fini(&e->records);
    effects_init(e);
}

void effects_clear(struct effects *e)
{
    e->n = 0;
    sheaf_clear(&e->records);
    e->alarms_changed = false;
}

void effects_grow(struct effects *e)
{
    e->capacity = alloc_grown(e->capacity, e->n + 1);
    e->events = alloc_array(e->events, e->capacity, sizeof(struct event));
}

struct event *broker_done(struct broker *b, const struct command *c, struct spec *spec)
{
    struct event *e = broker_tell(b, DONE, c->from);
    e->verb = c->verb;
    e->cookie = c->cookie;
    e->done.spec = spec;
    if (b->records)
        remember_answer(b, e);
    return e;
}
