#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/commands.h"
#include "broker/model/outlet.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"
#include "codec/table.h"

void command_login(struct broker *b, struct command *c)
{
    const struct user *u = user_find(b, c->spec->name);
    struct spec answer = {.name = c->spec->name};
    b->changed = 0;
    if (u != NULL) {
        answer.arguments = u->spec->arguments;
        answer.serial = u->serial;
    }
    broker_done(b, c, spec_create(&answer));
    free(c->spec);
}

static bool is_machine(const struct spec *spec)
{
    return spec->hidden && spec->source.len == 0;
}

/* NULL, or why this connection cannot be let in (reference queue-features 8.5, 12.1); on the heap. */
static char *refuse_attach(struct broker *b, const struct spec *spec, enum reason *why)
{
    const struct user *u = is_machine(spec) ? user_of_machine(b) : user_find(b, spec->source);
    const struct vhost *v = vhost_find(b, spec->name);
    *why = NO_ROOM;
    if (!is_machine(spec) && b->connections_max > 0 && b->totals.outlets >= b->connections_max)
        return str_format("connection refused: node connection limit (%" PRIu64 ") is reached", b->connections_max);
    *why = NO_SUCH_VHOST;
    if (v == NULL)
        return str_format("vhost %.*s not found", BYTES_ARG(spec->name));
    if (is_machine(spec))
        return NULL;
    *why = NO_ACCESS;
    if (u == NULL || (!spec->hidden && u->serial != spec->serial) || access_find(v, spec->source) == NULL)
        return str_format("access to vhost '%.*s' refused for user '%.*s'", BYTES_ARG(v->name),
                          BYTES_ARG(spec->source));
    *why = NO_ROOM;
    if (v->connections >= v->connections_max)
        return str_format("access to vhost '%.*s' refused for user '%.*s': connection limit (%" PRIu64 ") is reached",
                          BYTES_ARG(v->name), BYTES_ARG(u->name), v->connections_max);
    if (u->connections >= u->connections_max)
        return str_format("connection refused for user '%.*s': user connection limit (%" PRIu64 ") is reached",
                          BYTES_ARG(u->name), u->connections_max);
    return NULL;
}

void command_attach(struct broker *b, struct command *c, struct outlet *o)
{
    enum reason why;
    CHECK(o == NULL);
    char *refusal = refuse_attach(b, c->spec, &why);
    if (refusal != NULL) {
        broker_fail(b, c, why, refusal);
        free(c->spec);
        return;
    }
    struct vhost *v = vhost_find(b, c->spec->name);
    struct access *a = is_machine(c->spec) ? access_of_machine(b, v) : access_find(v, c->spec->source);
    outlet_create(b, c->from.outlet, a, c->spec);
    broker_done(b, c, c->spec)->done.is_counted = a->user->channels_max != LIMIT_NONE;
}

bool command_begins(struct broker *b, struct command *c, const struct stream *s)
{
    const struct user *u = s->outlet->access->user;
    if (u->channels_max == LIMIT_NONE || outlet_count_streams(s->outlet) <= u->channels_max) /* this one is counted */
        return true;
    broker_fail(b, c, NO_ROOM,
                str_format("number of channels opened for user '%.*s' has reached the maximum allowed user limit "
                           "of (%" PRIu64 ")",
                           BYTES_ARG(u->name), u->channels_max));
    command_drop(c);
    return false;
}

void command_open(struct broker *b, struct command *c, struct stream *s)
{
    (void)s;
    broker_done(b, c, NULL);
}

void command_reset(struct broker *b, struct command *c, struct stream *s)
{
    uint64_t stamped = s->stamped;
    stream_delete(b, s);
    broker_finish(b);
    struct event *e = broker_done(b, c, NULL);
    if (e->after < stamped)
        e->after = stamped; /* whoever uses the number again is told nothing more of this stream */
}

void command_echo(struct broker *b, struct command *c, struct stream *s)
{
    (void)s;
    broker_done(b, c, c->spec);
}

/* ---- From a desk. */

bool outlet_is_meant(const struct outlet *o, const struct spec *which)
{
    struct field name;
    if (which->vhost.len > 0 && !bytes_equal(which->vhost, o->vhost->name))
        return false;
    if (which->source.len > 0 && !bytes_equal(which->source, o->access->user->name))
        return false;
    return which->name.len == 0 || (table_find(o->facts->arguments, BYTES("name"), &name) && name.type == 'S' &&
                                    bytes_equal(name.bytes, which->name));
}

void command_expel(struct broker *b, struct command *c)
{
    const struct spec *which = c->expel.spec;
    uint32_t n = 0;
    char *why = str_copy(which->objection);
    b->changed = 0;
    for (size_t i = 0; i < b->outlet_count && (c->expel.limit == 0 || n < c->expel.limit); i++) {
        if (b->outlets[i] == NULL || !outlet_is_meant(b->outlets[i], which))
            continue;
        outlet_expel(b, b->outlets[i], why);
        n++;
    }
    free(why);
    broker_finish(b);
    broker_done(b, c, c->expel.spec)->done.messages = n;
}
