#include "broker/model/alter.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/commands.h"
#include "broker/model/parameter.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/change.h"
#include "broker/port/spec.h"

/* --- before anything is changed: is all of it possible?
 * ------------------------------------------------------------*/

/* What the changes before the one that is looked at make: virtual hosts and users, which others need.  There may be
 * hundreds of thousands of both, and nobody else is served meanwhile. */
struct promises {
    struct map by_name;
    struct promise {
        struct map_node in_map;
        const struct change *change;
    } * all;
    size_t n;
};

static bool is_needed_by_others(const struct change *c)
{
    return c->kind == CHANGE_PUT && (c->what == DEFINE_VHOST || c->what == DEFINE_USER);
}

static void promises_init(struct promises *p, const struct changes *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        n += is_needed_by_others(&all->at[i]);
    map_init(&p->by_name);
    p->all = alloc_zeroed((n + 1) * sizeof *p->all);
    p->n = 0;
}

static void promises_fini(struct promises *p)
{
    map_fini(&p->by_name);
    free(p->all);
}

static uint64_t promise_hash(const struct broker *b, enum definition_class what, struct bytes name)
{
    return hash_bytes(name, b->hash_seed + what);
}

static void promise(struct promises *p, const struct broker *b, const struct change *c)
{
    if (!is_needed_by_others(c))
        return;
    struct promise *new = &p->all[p->n++];
    new->change = c;
    map_add(&p->by_name, &new->in_map, promise_hash(b, c->what, c->spec->name));
}

static bool is_promised(const struct promises *p, const struct broker *b, enum definition_class what, struct bytes name)
{
    for (struct map_node *n = map_first(&p->by_name, promise_hash(b, what, name)); n != NULL; n = map_next(n)) {
        const struct change *c = item_of(n, struct promise, in_map)->change;
        if (c->what == what && bytes_equal(c->spec->name, name))
            return true;
    }
    return false;
}

static bool needs_vhost(const struct change *c)
{
    bool is_global = c->what == DEFINE_PARAMETER && c->spec->vhost.len == 0;
    return c->what != DEFINE_VHOST && c->what != DEFINE_USER && !is_global;
}

static char *refuse_names(struct broker *b, const struct promises *p, const struct change *c, enum reason *why)
{
    bool is_right = c->what == DEFINE_PERMISSION || c->what == DEFINE_TOPIC_PERMISSION;
    *why = NO_SUCH_VHOST;
    if (needs_vhost(c) && vhost_find(b, c->spec->vhost) == NULL && !is_promised(p, b, DEFINE_VHOST, c->spec->vhost))
        return str_format("vhost '%.*s' does not exist", BYTES_ARG(c->spec->vhost));
    *why = NO_SUCH_USER;
    if (is_right && user_find(b, c->spec->name) == NULL && !is_promised(p, b, DEFINE_USER, c->spec->name))
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
    case DEFINE_CLASSES:
        break;
    }
    return str_copy(BYTES("no such kind of object"));
}

/* NULL, or what is wrong with the first that is; *at says which. */
static char *refuse_changes(struct broker *b, const struct changes *all, size_t *at, enum reason *why)
{
    char *refusal = NULL;
    struct promises p;
    promises_init(&p, all);
    for (size_t i = 0; refusal == NULL && i < all->n; i++) {
        const struct change *c = &all->at[i];
        if (c->kind != CHANGE_PUT)
            continue;
        *at = i;
        refusal = refuse_names(b, &p, c, why);
        if (refusal == NULL)
            refusal = refuse_content(c, why);
        promise(&p, b, c);
    }
    promises_fini(&p);
    return refusal;
}

/* --- carrying it out
 * -----------------------------------------------------------------------------------------------*/

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
        changed = topic_access_put(b, v, spec);
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
    topic_access_remove(b, v, t);
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

static void carry_out(struct broker *b, struct change *c)
{
    struct vhost *v = needs_vhost(c) ? vhost_find(b, c->spec->vhost) : NULL;
    bool is_topology = c->what == DEFINE_EXCHANGE || c->what == DEFINE_QUEUE || c->what == DEFINE_BINDING;
    c->outcome = CHANGE_NOTHING;
    if (is_topology && v != NULL)
        alter_topology(b, c);
    else if (c->kind == CHANGE_PUT && !is_topology)
        put(b, c, v);
    else if (c->kind == CHANGE_REMOVE && !is_topology)
        take_away(b, c, v);
}

void command_alter(struct broker *b, struct command *c)
{
    struct changes *all = c->changes;
    enum reason why = BAD_ARGUMENT;
    size_t at = 0;
    b->changed = 0;
    char *refusal = refuse_changes(b, all, &at, &why);
    if (refusal != NULL) {
        all->failed = at;
        broker_fail(b, c, why, refusal);
        b->effects->events[b->effects->n - 1].failed.changes = all;
        return;
    }
    remember_tx_begin(b);
    for (size_t i = 0; i < all->n; i++)
        carry_out(b, &all->at[i]);
    broker_finish(b);
    remember_tx_end(b);
    b->changed = b->position; /* what was so already may have become so just now */
    broker_done(b, c, NULL)->done.changes = all;
}
