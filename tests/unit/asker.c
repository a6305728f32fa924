#include "tests/unit/asker.h"

#include "base/check.h"
#include "base/str.h"
#include "broker/port/event.h"
#include "codec/table.h"

static struct event *ask(struct world *w, struct command c)
{
    world_forget(w);
    c.from = (struct origin){.outlet = {.generation = DESK_GENERATION}};
    broker_step(w->broker, &w->now, &c, 1, &w->effects);
    broker_check(w->broker);
    CHECK(w->effects.n > 0);
    w->read = w->effects.n;
    for (size_t i = 0; i < w->effects.n; i++)
        if (w->effects.events[i].to.outlet.generation == DESK_GENERATION)
            return &w->effects.events[i];
    CHECK(false);
    return NULL;
}

struct inspection *asker_inspect(struct world *w, struct inspection *i)
{
    struct event *e = ask(w, (struct command){.verb = INSPECT, .inspection = i});
    if (e->what == FAILED)
        return NULL;
    CHECK(e->what == DONE);
    i = e->done.inspection;
    e->done.inspection = NULL;
    return i;
}

void asker_alter(struct world *w, enum change_kind kind, enum definition_class what, const struct spec *spec)
{
    struct spec s = *spec;
    struct changes *c = changes_create();
    s.vhost = BYTES("/");
    changes_add(c, kind, what, spec_create(&s));
    struct event *e = ask(w, (struct command){.verb = ALTER, .changes = c});
    CHECK(e->what == DONE);
    event_drop(e); /* what followed is to be read */
    *e = w->effects.events[--w->effects.n];
    w->read = 0;
}

void asker_pause(struct world *w, const char *queue, bool is_paused)
{
    uint8_t room[32];
    struct pen p = pen_over(room, sizeof room);
    table_put_bool(&p, BYTES("value"), true);
    struct spec s = {.name = bytes_of_string(queue), .type = BYTES("paused-queue"), .arguments = pen_written(&p)};
    asker_alter(w, is_paused ? CHANGE_PUT : CHANGE_REMOVE, DEFINE_PARAMETER, &s);
}

char *asker_text(struct bytes row, const char *key)
{
    struct field f;
    return table_find(row, bytes_of_string(key), &f) && f.type == 'S' ? str_copy(f.bytes) : NULL;
}
