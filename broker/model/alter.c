#include "broker/model/alter.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/commands.h"
#include "broker/model/notice.h"
#include "broker/model/parameter.h"
#include "broker/model/remember.h"
#include "broker/model/rights.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/change.h"
#include "broker/port/spec.h"

/* ---- Before anything is changed: is all of it possible? */

/* A virtual host or a user that is made by a change before the one that is looked at. */
struct promise {
    struct map_node in_promises;
    enum definition_class what;
    struct bytes name; /* the change's */
};

static bool is_promised(const struct broker *b, const struct map *promises, enum definition_class what,
                        struct bytes name)
{
    uint64_t hash = hash_bytes(name, b->hash_seed);
    for (struct map_node *n = map_first(promises, hash); n != NULL; n = map_next(n)) {
        const struct promise *p = item_of(n, struct promise, in_promises);
        if (p->what == what && bytes_equal(p->name, name))
            return true;
    }
    return false;
}

static void promise(const struct broker *b, struct map *promises, const struct change *c)
{
    struct bytes name = c->spec->name;
    bool is_one = c->kind == CHANGE_PUT && (c->what == DEFINE_VHOST || c->what == DEFINE_USER);
    if (!is_one || is_promised(b, promises, c->what, name))
        return;
    struct promise *p = alloc(sizeof *p);
    *p = (struct promise){.what = c->what, .name = name};
    map_add(promises, &p->in_promises, hash_bytes(name, b->hash_seed));
}

static void promises_fini(struct map *promises)
{
    for (struct map_node *n; (n = map_walk(promises, NULL)) != NULL;) {
        map_remove(promises, n);
        free(item_of(n, struct promise, in_promises));
    }
    map_fini(promises);
}

static bool is_topology(const struct change *c)
{
    return c->what == DEFINE_EXCHANGE || c->what == DEFINE_QUEUE || c->what == DEFINE_BINDING;
}

static bool needs_vhost(const struct change *c)
{
    bool is_global = c->what == DEFINE_PARAMETER && c->spec->vhost.len == 0;
    return c->what != DEFINE_VHOST && c->what != DEFINE_USER && !is_global;
}

static char *refuse_names(struct broker *b, const struct map *promises, const struct change *c, enum reason *why)
{
    bool is_right = c->what == DEFINE_PERMISSION || c->what == DEFINE_TOPIC_PERMISSION;
    *why = NO_SUCH_VHOST;
    if (needs_vhost(c) && vhost_find(b, c->spec->vhost) == NULL &&
        !is_promised(b, promises, DEFINE_VHOST, c->spec->vhost))
        return str_format("vhost '%.*s' does not exist", BYTES_ARG(c->spec->vhost));
    *why = NO_SUCH_USER;
    if (is_right && user_find(b, c->spec->name) == NULL && !is_promised(b, promises, DEFINE_USER, c->spec->name))
        return str_format("user '%.*s' does not exist", BYTES_ARG(c->spec->name));
    return NULL;
}

static char *refuse_content(const struct change *c, enum reason *why)
{
    *why = BAD_ARGUMENT;
    switch (c->what) {
    case DEFINE_VHOST:
        return vhost_refuse(c->spec);
    case DEFINE_USER:
        return user_refuse(c->spec);
    case DEFINE_PERMISSION:
        return access_refuse(c->spec);
    case DEFINE_TOPIC_PERMISSION:
        return topic_access_refuse(c->spec);
    case DEFINE_PARAMETER:
        return parameter_refuse(c->spec);
    case DEFINE_EXCHANGE:
    case DEFINE_QUEUE:
    case DEFINE_BINDING:
        return alter_refuse_topology(c, why);
    case DEFINE_PART:
    case DEFINE_BOOKMARK:
    case DEFINE_CLASSES:
        break;
    }
    return str_copy(BYTES("no such kind of object"));
}

/* What a client would do to make such a change; ECHO: what takes no right. */
static enum verb verb_of(const struct change *c)
{
    static const enum verb verbs[DEFINE_CLASSES][CHANGE_KINDS] = {
        [DEFINE_EXCHANGE] =
            {[CHANGE_PUT] = DECLARE_EXCHANGE, [CHANGE_REMOVE] = DELETE_EXCHANGE, [CHANGE_CANCEL] = DELETE_EXCHANGE},
        [DEFINE_QUEUE] = {[CHANGE_PUT] = DECLARE_QUEUE,
                          [CHANGE_REMOVE] = DELETE_QUEUE,
                          [CHANGE_PURGE] = PURGE_QUEUE,
                          [CHANGE_UPDATE] = DECLARE_QUEUE},
        [DEFINE_BINDING] = {[CHANGE_PUT] = BIND, [CHANGE_REMOVE] = UNBIND},
    };
    bool pauses = c->what == DEFINE_PARAMETER && bytes_equal(c->spec->type, BYTES("paused-queue"));
    return pauses ? DELETE_QUEUE : is_topology(c) ? verbs[c->what][c->kind] : ECHO;
}

/* NULL, or why the user may not; its virtual host is there, or was promised. */
static char *refuse_user(struct broker *b, const char *user, const struct change *c, enum reason *why)
{
    enum verb verb = verb_of(c);
    const struct vhost *v = verb != ECHO ? vhost_find(b, c->spec->vhost) : NULL;
    if (v == NULL)
        return NULL;
    struct access *a = access_find(v, bytes_of_string(user));
    *why = NO_ACCESS;
    return a != NULL ? rights_refuse(b, a, verb, c->spec, why)
                     : str_format("access to vhost '%.*s' refused for user '%s'", BYTES_ARG(v->name), user);
}

/* NULL, or what is wrong with the first that is; *at says which. */
static char *refuse_changes(struct broker *b, const struct changes *all, size_t *at, enum reason *why)
{
    struct map promises;
    char *refusal = NULL;
    map_init(&promises);
    for (*at = 0; *at < all->n; ++*at) {
        const struct change *c = &all->at[*at];
        bool is_judged = c->kind == CHANGE_PUT || c->kind == CHANGE_UPDATE;
        if (is_judged)
            refusal = refuse_names(b, &promises, c, why);
        if (all->user != NULL && refusal == NULL)
            refusal = refuse_user(b, all->user, c, why);
        if (is_judged && refusal == NULL)
            refusal = refuse_content(c, why);
        if (refusal != NULL)
            break;
        promise(b, &promises, c);
    }
    promises_fini(&promises);
    return refusal;
}

/* ---- Carrying it out. */

static enum change_outcome put_outcome(bool was_there, bool changed)
{
    return !changed ? CHANGE_NOTHING : was_there ? CHANGE_CHANGED : CHANGE_MADE;
}

static void put(struct broker *b, struct change *c, struct vhost *v)
{
    const struct spec *spec = c->spec;
    bool was_there = false, changed = false;
    switch ((int)c->what) {
    case DEFINE_VHOST:
        was_there = vhost_find(b, spec->name) != NULL;
        changed = vhost_put(b, spec);
        break;
    case DEFINE_USER:
        was_there = user_find(b, spec->name) != NULL;
        changed = user_put(b, spec);
        break;
    case DEFINE_PERMISSION:
        was_there = access_find(v, spec->name) != NULL;
        changed = access_put(b, v, user_find(b, spec->name), spec);
        break;
    case DEFINE_TOPIC_PERMISSION:
        was_there = topic_access_find(v, spec->name, spec->key) != NULL;
        changed = topic_access_put(b, v, user_find(b, spec->name), spec);
        break;
    case DEFINE_PARAMETER:
        was_there = parameter_find(b, spec->vhost, spec->type, spec->name) != NULL;
        changed = parameter_put(b, spec);
        break;
    default:
        break;
    }
    c->outcome = put_outcome(was_there, changed);
}

static void remove_access(struct broker *b, struct change *c, const struct vhost *v)
{
    struct access *a = v == NULL ? NULL : access_find(v, c->spec->name);
    if (a == NULL)
        return;
    char *why = str_format("access of user '%.*s' to vhost '%.*s' was taken away", BYTES_ARG(c->spec->name),
                           BYTES_ARG(c->spec->vhost));
    access_remove(b, a, why);
    free(why);
    c->outcome = CHANGE_REMOVED;
}

static void remove_topic_access(struct broker *b, struct change *c, struct vhost *v)
{
    struct topic_access *t = v == NULL ? NULL : topic_access_find(v, c->spec->name, c->spec->key);
    if (t == NULL)
        return;
    topic_access_remove(b, t);
    c->outcome = CHANGE_REMOVED;
}

static void take_away(struct broker *b, struct change *c, struct vhost *v)
{
    const struct spec *spec = c->spec;
    struct user *u = c->what == DEFINE_USER ? user_find(b, spec->name) : NULL;
    struct vhost *itself = c->what == DEFINE_VHOST ? vhost_find(b, spec->name) : NULL;
    struct parameter *p = c->what == DEFINE_PARAMETER ? parameter_find(b, spec->vhost, spec->type, spec->name) : NULL;
    if (u != NULL)
        user_remove(b, u);
    if (itself != NULL)
        vhost_remove(b, itself);
    if (p != NULL)
        parameter_remove(b, p);
    if (u != NULL || itself != NULL || p != NULL)
        c->outcome = CHANGE_REMOVED;
    if (c->what == DEFINE_PERMISSION)
        remove_access(b, c, v);
    if (c->what == DEFINE_TOPIC_PERMISSION)
        remove_topic_access(b, c, v);
}

/* What it needs was there, or promised, and an earlier change has taken it away. */
static bool is_orphan(const struct broker *b, const struct change *c, const struct vhost *v)
{
    bool is_right = c->what == DEFINE_PERMISSION || c->what == DEFINE_TOPIC_PERMISSION;
    return (needs_vhost(c) && v == NULL) || (is_right && user_find(b, c->spec->name) == NULL);
}

static void carry_out(struct broker *b, struct change *c)
{
    struct vhost *v = needs_vhost(c) ? vhost_find(b, c->spec->vhost) : NULL;
    bool is_of_topology = is_topology(c);
    c->outcome = CHANGE_NOTHING;
    if (c->kind == CHANGE_PUT && is_orphan(b, c, v)) {
        c->outcome = CHANGE_SKIPPED;
        c->text = str_copy(BYTES("what it belongs to was removed"));
    } else if (is_of_topology && v != NULL)
        alter_topology(b, c);
    else if (c->kind == CHANGE_PUT && !is_of_topology)
        put(b, c, v);
    else if (c->kind == CHANGE_REMOVE && !is_of_topology)
        take_away(b, c, v);
}

/* Topology tells of itself, whoever makes it. */
static void tell(struct broker *b, const struct change *c)
{
    bool is_put = c->outcome == CHANGE_MADE || c->outcome == CHANGE_CHANGED;
    bool tells_changes =
        c->what == DEFINE_PARAMETER || c->what == DEFINE_PERMISSION || c->what == DEFINE_TOPIC_PERMISSION;
    if (is_topology(c) || !notice_is_on(b) || !(is_put || c->outcome == CHANGE_REMOVED))
        return;
    if (c->outcome != CHANGE_CHANGED || tells_changes)
        notice_definition(b, c->what, c->spec, is_put);
}

void command_alter(struct broker *b, struct command *c)
{
    struct changes *all = c->changes;
    enum reason why = BAD_ARGUMENT;
    size_t at;
    b->changed = 0;
    char *refusal = refuse_changes(b, all, &at, &why);
    if (refusal != NULL) {
        all->failed = at;
        broker_fail(b, c, why, refusal);
        b->effects->events[b->effects->n - 1].failed.changes = all;
        return;
    }
    if (all->is_rehearsal) {
        alter_rehearse(b, all);
        broker_done(b, c, NULL)->done.changes = all;
        return;
    }
    remember_tx_begin(b);
    for (size_t i = 0; i < all->n; i++) {
        carry_out(b, &all->at[i]);
        tell(b, &all->at[i]);
    }
    broker_finish(b);
    remember_tx_end(b);
    b->changed = b->position; /* what was so already may have become so just now */
    broker_done(b, c, NULL)->done.changes = all;
}
