#include "amqp/trail.h"

#include "amqp/state.h"
#include "base/audit.h"
#include "broker/port/spec.h"

static struct bytes text_or_none(const char *text)
{
    return text != NULL ? bytes_of_string(text) : (struct bytes){0};
}

static struct audit begin(const struct session *s, const char *action, bool is_ok)
{
    return (struct audit){
        .action = action,
        .result = is_ok ? BYTES("ok") : BYTES("refused"),
        .user = text_or_none(s->user),
        .peer = bytes_of_string(s->peer),
        .certificate = text_or_none(s->certificate_subject),
        .vhost = text_or_none(s->vhost),
    };
}

static struct audit begin_login(const struct session *s, const char *mechanism, const char *claimed, bool is_ok)
{
    struct audit a = begin(s, "login", is_ok);
    a.user = text_or_none(claimed);
    a.kind = BYTES("mechanism");
    a.object = bytes_of_string(mechanism);
    return a;
}

void trail_login(const struct session *s, const char *mechanism, const char *claimed)
{
    if (!audit_is_on())
        return;
    const struct audit a = begin_login(s, mechanism, claimed, true);
    audit_write(&a);
}

void trail_refused_login(const struct session *s, const char *mechanism, const char *claimed, const char *why,
                         unsigned untold)
{
    if (!audit_is_on())
        return;
    struct audit a = begin_login(s, mechanism, claimed, false);
    a.reason = text_or_none(why);
    a.has_count = untold > 0;
    a.count = untold;
    audit_write(&a);
}

void trail_open(const struct session *s, bool is_ok, const char *why)
{
    if (!audit_is_on())
        return;
    struct audit a = begin(s, "connection.open", is_ok);
    a.reason = text_or_none(why);
    audit_write(&a);
}

void trail_close(const struct session *s)
{
    if (!audit_is_on())
        return;
    const struct audit a = begin(s, "connection.close", true);
    audit_write(&a);
}

/* What a command is called, and what it is about; NULL: it leaves no trail. */
static const char *action_of(enum verb verb, struct bytes *kind)
{
    static const struct {
        enum verb verb;
        const char *action, *kind;
    } all[] = {
        {DECLARE_EXCHANGE, "exchange.declare", "exchange"},
        {DELETE_EXCHANGE, "exchange.delete", "exchange"},
        {DECLARE_QUEUE, "queue.declare", "queue"},
        {DELETE_QUEUE, "queue.delete", "queue"},
        {PURGE_QUEUE, "queue.purge", "queue"},
        {BIND, "bind", NULL},
        {UNBIND, "unbind", NULL},
        {PUBLISH, "basic.publish", "exchange"},
        {SUBSCRIBE, "basic.consume", "queue"},
        {GET, "basic.get", "queue"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].verb == verb) {
            *kind = text_or_none(all[i].kind);
            return all[i].action;
        }
    }
    return NULL;
}

void trail_done(const struct session *s, const struct event *e)
{
    struct bytes kind;
    const struct spec *spec = e->done.spec;
    if (!audit_is_on() || !e->done.is_change || spec == NULL)
        return;
    struct audit a = begin(s, action_of(e->verb, &kind), true);
    a.kind = e->verb == BIND || e->verb == UNBIND ? spec->to_exchange ? BYTES("exchange") : BYTES("queue") : kind;
    a.object = spec->name;
    if (e->verb == BIND || e->verb == UNBIND)
        a.after = spec->source;
    a.has_count = e->verb == DELETE_QUEUE || e->verb == PURGE_QUEUE;
    a.count = e->done.messages;
    audit_write(&a);
}

void trail_failed(const struct session *s, const struct event *e)
{
    struct bytes kind;
    bool is_refusal = e->failed.reason == DENIED || e->failed.reason == LOCKED || e->failed.reason == RESERVED;
    if (!audit_is_on() || !is_refusal)
        return;
    const char *action = action_of(e->verb, &kind);
    struct audit a = begin(s, action != NULL ? action : "command", false);
    a.kind = kind;
    a.reason = text_or_none(e->failed.text);
    audit_write(&a);
}
