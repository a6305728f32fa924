#include "broker/admin/note.h"

#include <stdlib.h>

#include "base/audit.h"
#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/admin/visitor.h"
#include "broker/port/move.h"

static struct audit begin(const struct request *r, const char *action)
{
    return (struct audit){.action = action,
                          .result = BYTES("ok"),
                          .user = r->visitor != NULL ? r->visitor->name : bytes_of_string(r->actor),
                          .peer = bytes_of_string(r->peer)};
}

static struct bytes kind_of(const struct change *c)
{
    switch (c->what) {
    case DEFINE_VHOST:
        return BYTES("vhost");
    case DEFINE_EXCHANGE:
        return BYTES("exchange");
    case DEFINE_QUEUE:
        return BYTES("queue");
    case DEFINE_BINDING:
        return BYTES("binding");
    case DEFINE_USER:
        return BYTES("user");
    case DEFINE_PERMISSION:
        return BYTES("permission");
    case DEFINE_TOPIC_PERMISSION:
        return BYTES("topic-permission");
    case DEFINE_PARAMETER:
        if (bytes_equal(c->spec->type, BYTES("policy")))
            return BYTES("policy");
        return bytes_equal(c->spec->type, BYTES("operator_policy")) ? BYTES("operator-policy") : BYTES("parameter");
    case DEFINE_PART:
    case DEFINE_BOOKMARK:
    case DEFINE_CLASSES:
        break;
    }
    return BYTES("object");
}

static const char *verb_of(const struct change *c)
{
    if (c->kind == CHANGE_PURGE)
        return "purge";
    if (c->kind == CHANGE_UPDATE)
        return "update";
    if (c->kind == CHANGE_CANCEL)
        return "cancel delayed message of";
    if (c->kind == CHANGE_REMOVE)
        return "delete";
    return c->outcome == CHANGE_CHANGED ? "update" : "create";
}

/* Rights, tags, limits and policies are told in full; what other parameters hold is not known. */
static bool is_told(const struct change *c)
{
    static const char *const told[] = {"policy", "operator_policy", "vhost-limits"};
    if (c->what == DEFINE_PARAMETER)
        for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
            if (bytes_equal(c->spec->type, bytes_of_string(told[i])))
                return true;
    return c->what == DEFINE_PERMISSION || c->what == DEFINE_TOPIC_PERMISSION || c->what == DEFINE_USER;
}

/* Without what nobody needs to read there: hashes, and the name that the line has already.  The caller frees it. */
static char *print(const struct change *c, json_t *value)
{
    json_t *shown = json_copy(value);
    json_decref(value);
    if (c->what == DEFINE_USER) {
        json_object_del(shown, "name");
        json_object_del(shown, "password_hash");
        json_object_del(shown, "hashing_algorithm");
    }
    char *text = json_dumps(shown, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(shown);
    return text;
}

static void note_change(const struct request *r, const struct change *c, const char *refusal)
{
    struct bytes kind = kind_of(c);
    char *action = str_format("%.*s.%s", BYTES_ARG(kind), verb_of(c)), *before = NULL, *after = NULL;
    struct audit a = begin(r, action);
    const char *why = refusal != NULL ? refusal : c->outcome == CHANGE_SKIPPED ? c->text : NULL;
    a.kind = kind;
    a.object = c->spec->name;
    a.vhost = c->spec->vhost;
    a.count = c->count;
    if (c->what == DEFINE_BINDING)
        a.after = c->spec->source;
    a.has_count = c->what == DEFINE_QUEUE && (c->kind == CHANGE_REMOVE || c->kind == CHANGE_PURGE);
    if (why != NULL) {
        a.result = BYTES("refused");
        a.reason = bytes_of_string(why);
    }
    if (is_told(c) && r->before != NULL)
        before = print(c, json_incref(r->before));
    if (is_told(c) && c->kind == CHANGE_PUT)
        after = print(c, json_of_table(c->spec->arguments));
    if (before != NULL)
        a.before = bytes_of_string(before);
    if (after != NULL)
        a.after = bytes_of_string(after);
    audit_write(&a);
    free(action);
    free(before);
    free(after);
}

static void note_changes(const struct request *r, const struct event *e)
{
    const struct changes *changes = e->what == FAILED ? e->failed.changes : e->done.changes;
    if (changes != NULL && changes->is_rehearsal)
        return;
    if (e->what == FAILED) {
        const struct changes *all = e->failed.changes;
        if (all != NULL && all->failed < all->n)
            note_change(r, &all->at[all->failed], e->failed.text);
        return;
    }
    for (size_t i = 0; changes != NULL && i < changes->n; i++)
        if (changes->at[i].outcome != CHANGE_NOTHING)
            note_change(r, &changes->at[i], NULL);
}

void note_answer(const struct request *r, const struct event *e)
{
    if (!audit_is_on())
        return;
    if (e->verb == ALTER) {
        note_changes(r, e);
    } else if (e->verb == EXPEL && e->what == DONE && e->done.spec != NULL) {
        struct audit a = begin(r, "connection.force-close");
        a.kind = BYTES("connection");
        a.object = e->done.spec->name;
        a.vhost = e->done.spec->vhost;
        a.reason = e->done.spec->objection;
        a.count = e->done.messages;
        a.has_count = true;
        audit_write(&a);
    } else if (e->verb == CANCEL && e->what == DONE && e->done.messages > 0) {
        struct audit a = begin(r, "consumer.cancel");
        a.kind = BYTES("consumer");
        a.object = e->done.spec->key;
        a.vhost = e->done.spec->vhost;
        a.before = e->done.spec->name; /* whose it was */
        audit_write(&a);
    }
}

static char *print_destination(const struct move *m)
{
    if (m->to == MOVE_TO_QUEUE)
        return str_format("queue '%.*s'", BYTES_ARG(m->key));
    if (m->to == MOVE_TO_EXCHANGE)
        return str_format("exchange '%.*s'", BYTES_ARG(m->exchange));
    if (m->to == MOVE_TO_NOTHING)
        return str_copy(BYTES("nowhere"));
    return str_copy(m->to == MOVE_TO_ORIGIN ? BYTES("x-death-origin") : BYTES("x-death-exchange"));
}

void note_move(const struct request *r, const struct move *m, uint64_t count)
{
    struct audit a = begin(r, m->to == MOVE_TO_NOTHING ? "queue.delete-message" : "queue.move");
    char *to = print_destination(m);
    a.kind = BYTES("queue");
    a.object = m->queue;
    a.vhost = m->vhost;
    a.count = count;
    a.has_count = true;
    a.after = bytes_of_string(to);
    if (m->stopped != NULL)
        a.reason = bytes_of_string(m->stopped);
    audit_write(&a);
    free(to);
}

void note_move_refused(const struct request *r, const char *why)
{
    struct audit a = begin(r, "queue.move");
    a.result = BYTES("refused");
    a.kind = BYTES("queue");
    a.object = r->param[1];
    a.vhost = r->param[0];
    a.reason = bytes_of_string(why);
    audit_write(&a);
}

void note_control(const struct request *r, const char *action, const char *to)
{
    struct audit a = begin(r, action);
    if (to != NULL)
        a.after = bytes_of_string(to);
    audit_write(&a);
}

void note_trace(const struct request *r, const char *kind, struct bytes vhost, struct bytes name)
{
    char *action = str_format("%s.trace", kind);
    struct audit a = begin(r, action);
    a.kind = bytes_of_string(kind);
    a.object = name;
    a.vhost = vhost;
    audit_write(&a);
    free(action);
}

void note_import(const struct request *r, const struct changes *all, const char *refusal)
{
    struct audit a = begin(r, "definitions.import");
    a.kind = BYTES("definitions");
    if (refusal != NULL) {
        a.result = BYTES("refused");
        a.reason = bytes_of_string(refusal);
    }
    a.has_count = true;
    for (size_t i = 0; refusal == NULL && i < all->n; i++)
        a.count += all->at[i].outcome == CHANGE_MADE || all->at[i].outcome == CHANGE_CHANGED;
    audit_write(&a);
}
