/* What an administrator says in a conversation: users, what they may do, virtual hosts, policies.
 *
 *     user ann configure="^ann-" write="^ann-" read="" tags=["impersonator"] limits={max-channels=I:2}
 *     permit ann write="^ann-"      permit ann topic="amq.topic" write="^{username}\\."      revoke ann
 *     vhost "v" max-queues=1        delete user ann                                          delete vhost "v"
 *     pause "q"                     resume "q"
 *     policy "p" pattern="^q" definition={max-length=I:2} priority=1 apply-to="queues"       delete policy "p"
 *     operator-policy "p" …         delete operator-policy "p"
 *     change "q" arguments={x-max-length=I:2}
 */
#include <stdlib.h>
#include <string.h>

#include "amqp/options.h"
#include "broker/port/change.h"
#include "broker/port/spec.h"
#include "tests/talk/talk.h"

enum { TABLE_ROOM = 8192 };

static const char *const verbs[] = {"user",   "permit",          "revoke", "vhost", "delete",
                                    "policy", "operator-policy", "change", "pause", "resume"};

bool talk_is_desk(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(word, verbs[i]) == 0)
            return true;
    return false;
}

/* The name that is said first, or second: a word or a value. */
static struct bytes name_said(const struct words *w, unsigned at)
{
    if (at >= w->n || (w->arguments[at].name != NULL && w->arguments[at].value != NULL))
        return (struct bytes){0};
    const struct argument *a = &w->arguments[at];
    return a->name != NULL ? bytes_of_string(a->name) : a->value->bytes;
}

static struct bytes vhost_said(const struct words *w)
{
    return words_bytes(w, "vhost", BYTES("/"));
}

/* Adds what is said under that name to a table, under the same. */
static void put_said(struct pen *p, const struct words *w, const char *key)
{
    const struct value *v = words_value(w, key);
    if (v == NULL)
        return;
    if (v->kind == VALUE_TABLE || v->kind == VALUE_ARRAY) {
        uint8_t *mark = table_open(p, bytes_of_string(key), v->kind == VALUE_TABLE ? 'F' : 'A');
        value_put_inside(v, p);
        table_close(p, mark);
    } else if (v->kind == VALUE_INTEGER) {
        table_put_i64(p, bytes_of_string(key), (int64_t)v->integer);
    } else {
        table_put_string(p, bytes_of_string(key), v->bytes);
    }
}

static void put_all_said(struct pen *p, const struct words *w, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        put_said(p, w, *keys);
}

static void add(struct changes *all, enum change_kind kind, enum definition_class what, const struct spec *spec)
{
    changes_add(all, kind, what, spec_create(spec));
}

/* Patterns that are not said are empty: nothing is allowed. */
static void add_permission(struct changes *all, const struct words *w, struct bytes user)
{
    static const char *const keys[] = {"configure", "write", "read", NULL};
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    put_all_said(&p, w, keys);
    const struct spec spec = {.vhost = vhost_said(w),
                              .name = user,
                              .key = words_bytes(w, "topic", (struct bytes){0}),
                              .arguments = pen_written(&p)};
    add(all, CHANGE_PUT, words_has(w, "topic") ? DEFINE_TOPIC_PERMISSION : DEFINE_PERMISSION, &spec);
}

static void add_user(struct changes *all, const struct words *w, struct bytes user)
{
    static const char *const keys[] = {"password_hash", "tags", "limits", NULL};
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    put_all_said(&p, w, keys);
    add(all, CHANGE_PUT, DEFINE_USER, &(struct spec){.name = user, .arguments = pen_written(&p)});
    if (words_has(w, "configure") || words_has(w, "write") || words_has(w, "read"))
        add_permission(all, w, user);
}

static void add_vhost(struct changes *all, const struct words *w, struct bytes name)
{
    static const char *const keys[] = {"max-queues",      "max-connections",  "max-exchanges",          "max-bindings",
                                       "max-queue-bytes", "max-publish-rate", "max-publish-bytes-rate", NULL};
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    struct spec limits = {.vhost = name, .type = BYTES("vhost-limits"), .name = BYTES("limits")};
    uint8_t *mark = table_open(&p, BYTES("value"), 'F');
    put_all_said(&p, w, keys);
    table_close(&p, mark);
    limits.arguments = pen_written(&p);
    uint8_t more[TABLE_ROOM];
    struct pen facts = pen_over(more, sizeof more);
    if (words_has(w, "default-queue-type"))
        table_put_string(&facts, BYTES("default_queue_type"), words_bytes(w, "default-queue-type", (struct bytes){0}));
    if (words_has(w, "tracing"))
        table_put_bool(&facts, BYTES("tracing"), true);
    add(all, CHANGE_PUT, DEFINE_VHOST, &(struct spec){.name = name, .arguments = pen_written(&facts)});
    add(all, CHANGE_PUT, DEFINE_PARAMETER, &limits);
}

static void add_pause(struct changes *all, const struct words *w, bool is_paused)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    table_put_bool(&p, BYTES("value"), true);
    const struct spec spec = {
        .vhost = vhost_said(w), .type = BYTES("paused-queue"), .name = name_said(w, 0), .arguments = pen_written(&p)};
    add(all, is_paused ? CHANGE_PUT : CHANGE_REMOVE, DEFINE_PARAMETER, &spec);
}

static bool is_policy(struct bytes word)
{
    return bytes_equal(word, BYTES("policy")) || bytes_equal(word, BYTES("operator-policy"));
}

static struct spec policy_named(const struct words *w, struct bytes kind, struct bytes name)
{
    bool is_users = bytes_equal(kind, BYTES("policy"));
    return (struct spec){
        .vhost = vhost_said(w), .type = is_users ? BYTES("policy") : BYTES("operator_policy"), .name = name};
}

static void add_policy(struct changes *all, const struct words *w, struct bytes name)
{
    static const char *const keys[] = {"pattern", "definition", "priority", "apply-to", NULL};
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = table_open(&p, BYTES("value"), 'F');
    put_all_said(&p, w, keys);
    table_close(&p, mark);
    struct spec spec = policy_named(w, bytes_of_string(w->verb), name);
    spec.arguments = pen_written(&p);
    add(all, CHANGE_PUT, DEFINE_PARAMETER, &spec);
}

/* A queue's arguments, all of them. */
static void add_arguments(struct changes *all, const struct words *w, struct bytes queue)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    const struct value *v = words_value(w, "arguments");
    struct spec spec = {.vhost = vhost_said(w), .name = queue, .durable = true};
    if (v != NULL)
        value_put_inside(v, &p);
    spec.arguments = pen_written(&p);
    char *objection = options_read_queue(&spec, spec.vhost);
    if (objection != NULL)
        spec.objection = bytes_of_string(objection);
    add(all, CHANGE_UPDATE, DEFINE_QUEUE, &spec);
    free(objection);
}

static void add_removal(struct changes *all, const struct words *w)
{
    bool is_vhost = bytes_equal(name_said(w, 0), BYTES("vhost"));
    if (is_policy(name_said(w, 0))) {
        const struct spec spec = policy_named(w, name_said(w, 0), name_said(w, 1));
        add(all, CHANGE_REMOVE, DEFINE_PARAMETER, &spec);
        return;
    }
    add(all, CHANGE_REMOVE, is_vhost ? DEFINE_VHOST : DEFINE_USER, &(struct spec){.name = name_said(w, 1)});
}

static void add_revocation(struct changes *all, const struct words *w, struct bytes user)
{
    const struct spec spec = {.vhost = vhost_said(w), .name = user, .key = words_bytes(w, "topic", (struct bytes){0})};
    add(all, CHANGE_REMOVE, words_has(w, "topic") ? DEFINE_TOPIC_PERMISSION : DEFINE_PERMISSION, &spec);
}

bool talk_say_desk(struct talk *t, const char *line)
{
    struct reading r = talk_reading(t, line, false);
    struct words w;
    if (!words_read(&r, &w))
        return talk_fail(t, "cannot read: %s", r.error);
    if (name_said(&w, 0).len == 0)
        return talk_fail(t, "%s whom?", w.verb);
    struct changes *all = changes_create();
    if (strcmp(w.verb, "user") == 0)
        add_user(all, &w, name_said(&w, 0));
    else if (strcmp(w.verb, "permit") == 0)
        add_permission(all, &w, name_said(&w, 0));
    else if (strcmp(w.verb, "revoke") == 0)
        add_revocation(all, &w, name_said(&w, 0));
    else if (strcmp(w.verb, "vhost") == 0)
        add_vhost(all, &w, name_said(&w, 0));
    else if (strcmp(w.verb, "pause") == 0 || strcmp(w.verb, "resume") == 0)
        add_pause(all, &w, strcmp(w.verb, "pause") == 0);
    else if (is_policy(bytes_of_string(w.verb)))
        add_policy(all, &w, name_said(&w, 0));
    else if (strcmp(w.verb, "change") == 0)
        add_arguments(all, &w, name_said(&w, 0));
    else
        add_removal(all, &w);
    char *refusal = t->peer->alter(t->peer, all);
    bool ok = refusal == NULL || talk_fail(t, "refused: %s", refusal);
    free(refusal);
    return ok;
}
