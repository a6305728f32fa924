/* What would become of changes that put things, without carrying them out (struct changes, is_rehearsal). */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/alter.h"
#include "broker/model/parameter.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/change.h"
#include "broker/port/spec.h"
#include "codec/table.h"

/* Exchanges and queues that the changes before this one would have made: borrowed. */
struct rehearsal {
    struct broker *b;
    struct map coming; /* struct promise, owned */
};

struct promise {
    struct map_node node;
    const struct change *change;
};

static uint64_t hash_of(const struct rehearsal *r, enum definition_class what, struct bytes vhost, struct bytes name)
{
    return hash_mix(hash_bytes(vhost, r->b->hash_seed + what), hash_bytes(name, r->b->hash_seed));
}

static bool is_coming(const struct rehearsal *r, enum definition_class what, struct bytes vhost, struct bytes name)
{
    for (struct map_node *n = map_first(&r->coming, hash_of(r, what, vhost, name)); n != NULL; n = map_next(n)) {
        const struct change *c = item_of(n, struct promise, node)->change;
        if (c->what == what && bytes_equal(c->spec->vhost, vhost) && bytes_equal(c->spec->name, name))
            return true;
    }
    return false;
}

static void promise(struct rehearsal *r, const struct change *c)
{
    struct promise *p = alloc(sizeof *p);
    p->change = c;
    map_add(&r->coming, &p->node, hash_of(r, c->what, c->spec->vhost, c->spec->name));
}

static enum change_outcome compare(const struct spec *is, const struct spec *wanted)
{
    if (is == NULL)
        return CHANGE_MADE;
    return table_same_entries(is->arguments, wanted->arguments) ? CHANGE_NOTHING : CHANGE_CHANGED;
}

/* What is there of that name, as it was defined; NULL: nothing. */
static const struct spec *find(const struct broker *b, const struct change *c, const struct vhost *v)
{
    const struct spec *s = c->spec;
    const struct vhost *named;
    const struct user *u;
    const struct access *a;
    const struct topic_access *t;
    const struct parameter *p;
    switch ((int)c->what) {
    case DEFINE_VHOST:
        named = vhost_find(b, s->name);
        return named != NULL ? named->spec : NULL;
    case DEFINE_USER:
        u = user_find(b, s->name);
        return u != NULL ? u->spec : NULL;
    case DEFINE_PERMISSION:
        a = v != NULL ? access_find(v, s->name) : NULL;
        return a != NULL ? a->spec : NULL;
    case DEFINE_TOPIC_PERMISSION:
        t = v != NULL ? topic_access_find(v, s->name, s->key) : NULL;
        return t != NULL ? t->spec : NULL;
    default:
        p = parameter_find(b, s->vhost, s->type, s->name);
        return p != NULL ? p->spec : NULL;
    }
}

/* Is an end of the binding to come, and is the other one there, or to come? */
static bool has_coming_end(const struct rehearsal *r, const struct vhost *v, const struct spec *s)
{
    enum definition_class to = s->to_exchange ? DEFINE_EXCHANGE : DEFINE_QUEUE;
    bool is_source = v != NULL && vhost_find_exchange(r->b, v, s->source) != NULL;
    bool is_end = v != NULL && (s->to_exchange ? vhost_find_exchange(r->b, v, s->name) != NULL
                                               : vhost_find_queue(r->b, v, s->name) != NULL);
    bool has_source = is_source || is_coming(r, DEFINE_EXCHANGE, s->vhost, s->source);
    /* A new virtual host has exchanges of its own. */
    has_source = has_source || (v == NULL && bytes_start_with(s->source, BYTES("amq.")));
    return !(is_source && is_end) && has_source && (is_end || is_coming(r, to, s->vhost, s->name));
}

static void rehearse(struct rehearsal *r, struct change *c)
{
    const struct spec *s = c->spec;
    struct vhost *v = s->vhost.len > 0 ? vhost_find(r->b, s->vhost) : NULL;
    bool is_there = false, is_topology = false;
    if (c->what == DEFINE_EXCHANGE || c->what == DEFINE_QUEUE || c->what == DEFINE_BINDING)
        is_topology = true;
    if (!is_topology) {
        c->outcome = compare(find(r->b, c, v), s);
        return;
    }
    bool is_new = v == NULL || (c->what != DEFINE_BINDING && is_coming(r, c->what, s->vhost, s->name));
    if (c->what == DEFINE_BINDING ? has_coming_end(r, v, s) : is_new) {
        c->outcome = CHANGE_MADE;
    } else {
        c->text =
            v != NULL ? alter_refuse_put(r->b, v, c, &is_there) : str_copy(BYTES("what it would bind is not there"));
        c->outcome = c->text != NULL ? CHANGE_SKIPPED : is_there ? CHANGE_NOTHING : CHANGE_MADE;
    }
    if (c->outcome == CHANGE_MADE && c->what != DEFINE_BINDING)
        promise(r, c);
}

void alter_rehearse(struct broker *b, struct changes *all)
{
    struct rehearsal r = {.b = b};
    map_init(&r.coming);
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].kind == CHANGE_PUT)
            rehearse(&r, &all->at[i]);
    for (struct map_node *n; (n = map_walk(&r.coming, NULL)) != NULL;) {
        map_remove(&r.coming, n);
        free(item_of(n, struct promise, node));
    }
    map_fini(&r.coming);
}
