#include "broker/model/groups.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/siphash.h"
#include "base/str.h"
#include "broker/model/consumer.h"
#include "broker/model/queue.h"
#include "broker/model/ready.h"
#include "broker/model/state.h"
#include "codec/properties.h"
#include "codec/table.h"

/* A group that has something ready or out. */
struct group {
    struct map_node in_groups; /* by the first half of its hash; a message of its own is in no map */
    uint64_t rest;             /* the other half */
    struct heap_node place;    /* by the rank of its first: in … */
    struct heap *in;           /* borrowed: groups->free, or its consumer's; NULL: in none */
    struct heap ready;         /* struct member */
    struct consumer *consumer; /* borrowed: whose it is; NULL while something is out: one that takes no more */
    uint64_t out;
    bool is_single; /* a message of its own */
};

/* An entry that is ready. */
struct member {
    struct map_node in_members; /* by position */
    struct heap_node in_group;  /* by rank */
    struct group *group;
    struct entry *entry;
};

struct groups {
    struct bytes header; /* owned */
    uint64_t secret[2];
    struct map groups, members;
    struct heap free;    /* groups of which nothing is out, and something is ready */
    struct list waiting; /* consumers for whom there is nothing */
};

struct groups *groups_create(struct broker *b, const struct queue *q)
{
    const struct queue_options *o = q->options;
    if (o->group_header.len == 0 || o->type == QUEUE_STREAM || q->spec->is_reply || q->spec->hidden)
        return NULL;
    struct groups *g = alloc_zeroed(sizeof *g);
    g->header = bytes_of(str_copy(o->group_header), o->group_header.len);
    g->secret[0] = hash_mix(b->hash_seed, q->id);
    g->secret[1] = hash_mix(g->secret[0], b->hash_seed);
    map_init(&g->groups);
    map_init(&g->members);
    heap_init(&g->free);
    list_init(&g->waiting);
    return g;
}

void groups_destroy(struct groups *g)
{
    if (g == NULL)
        return;
    CHECK(g->members.count == 0 && g->groups.count == 0 && list_is_empty(&g->waiting));
    map_fini(&g->groups);
    map_fini(&g->members);
    heap_fini(&g->free);
    free((void *)(uintptr_t)g->header.at);
    free(g);
}

/* ---- Groups. */

/* False: the message has no group. */
static bool read_hash(const struct groups *g, const struct message *msg, uint64_t hash[2])
{
    struct properties p;
    struct field f;
    if ((msg->flags & MESSAGE_HAS_HEADERS) == 0 || !properties_decode(message_properties(msg), &p) ||
        !table_find(p.headers, g->header, &f))
        return false;
    const uint64_t secret[2] = {g->secret[0], g->secret[1] ^ (uint8_t)f.type};
    bool has_bytes = f.type == 'S' || f.type == 'x' || f.type == 'A' || f.type == 'F';
    siphash128(secret, has_bytes ? f.bytes : f.raw, hash);
    return true;
}

static struct group *group_find(const struct groups *g, const uint64_t hash[2])
{
    for (struct map_node *n = map_first(&g->groups, hash[0]); n != NULL; n = map_next(n)) {
        struct group *group = item_of(n, struct group, in_groups);
        if (group->rest == hash[1])
            return group;
    }
    return NULL;
}

static struct group *group_of(struct broker *b, struct groups *g, const struct message *msg)
{
    uint64_t hash[2];
    bool is_single = !read_hash(g, msg, hash);
    struct group *group = is_single ? NULL : group_find(g, hash);
    if (group != NULL)
        return group;
    group = alloc_zeroed(sizeof *group);
    b->groups_bytes += sizeof *group;
    group->is_single = is_single;
    heap_node_init(&group->place);
    heap_init(&group->ready);
    if (!is_single) {
        group->rest = hash[1];
        map_add(&g->groups, &group->in_groups, hash[0]);
    }
    return group;
}

static void group_take_away(struct group *group)
{
    if (group->in != NULL)
        heap_remove(group->in, &group->place);
    group->in = NULL;
}

static void group_free(struct broker *b, struct groups *g, struct group *group)
{
    b->groups_bytes -= sizeof *group;
    if (!group->is_single)
        map_remove(&g->groups, &group->in_groups);
    heap_fini(&group->ready);
    free(group);
}

/* Puts it where it is to be found, now that something has changed: nowhere while it has nothing to give, or nobody to
 * give it to; and frees it when there is nothing of it. */
static void group_place(struct broker *b, struct queue *q, struct group *group)
{
    struct groups *g = q->groups;
    struct consumer *c = group->consumer != NULL && !group->consumer->gone ? group->consumer : NULL;
    const struct heap_node *first = heap_top(&group->ready);
    group_take_away(group);
    if (first == NULL && group->out == 0) {
        group_free(b, g, group);
        return;
    }
    if (first == NULL || (group->out > 0 && c == NULL))
        return;
    bool was_idle = group->out > 0 && heap_top(&c->groups) == NULL;
    group->in = group->out > 0 ? &c->groups : &g->free;
    heap_add(group->in, &group->place, first->key);
    if (was_idle && link_is_linked(&c->waiting)) {
        list_remove(&c->waiting);
        consumer_place(b, c);
    }
    queue_mark_dirty(b, q);
}

/* ---- What is ready. */

void groups_add(struct broker *b, struct queue *q, struct entry *e)
{
    struct member *m = alloc(sizeof *m);
    b->groups_bytes += sizeof *m;
    *m = (struct member){.group = group_of(b, q->groups, e->msg), .entry = e};
    map_add(&q->groups->members, &m->in_members, hash_mix(e->position, 0));
    heap_node_init(&m->in_group);
    heap_add(&m->group->ready, &m->in_group, ready_rank(&q->ready, e));
    if (heap_top(&m->group->ready) == &m->in_group)
        group_place(b, q, m->group);
}

static struct member *member_find(const struct groups *g, const struct entry *e)
{
    struct map_node *n = map_first(&g->members, hash_mix(e->position, 0));
    while (n != NULL && item_of(n, struct member, in_members)->entry != e)
        n = map_next(n);
    CHECK(n != NULL);
    return item_of(n, struct member, in_members);
}

void groups_remove(struct broker *b, struct queue *q, struct entry *e)
{
    struct member *m = member_find(q->groups, e);
    struct group *group = m->group;
    bool was_first = heap_top(&group->ready) == &m->in_group;
    heap_remove(&group->ready, &m->in_group);
    map_remove(&q->groups->members, &m->in_members);
    b->groups_bytes -= sizeof *m;
    free(m);
    if (was_first)
        group_place(b, q, group);
}

/* ---- What is out. */

void groups_send(struct broker *b, struct queue *q, const struct message *msg, struct consumer *c)
{
    uint64_t hash[2];
    if (!read_hash(q->groups, msg, hash))
        return;
    struct group *group = group_of(b, q->groups, msg);
    /* Several have some of it, from before it was a group: nobody gets more until all is settled. */
    group->consumer = group->out == 0 || group->consumer == c ? c : NULL;
    group->out++;
    group_place(b, q, group);
}

void groups_settle(struct broker *b, struct queue *q, const struct message *msg)
{
    uint64_t hash[2];
    if (!read_hash(q->groups, msg, hash))
        return;
    struct group *group = group_find(q->groups, hash);
    CHECK(group != NULL && group->out > 0);
    if (--group->out > 0)
        return;
    group_take_away(group);
    group->consumer = NULL;
    group_place(b, q, group);
}

/* ---- Who gets what. */

static const struct heap_node *first_of(const struct group *group)
{
    const struct heap_node *first = heap_top(&group->ready);
    CHECK(first != NULL);
    return first;
}

static struct entry *entry_of(struct heap_node *place)
{
    const struct heap_node *first = first_of(item_of(place, struct group, place));
    return ((const struct member *)(const void *)((const char *)first - offsetof(struct member, in_group)))->entry;
}

struct entry *groups_pick(const struct groups *g, const struct consumer *c)
{
    struct heap_node *free = heap_top(&g->free), *own = c != NULL ? heap_top(&c->groups) : NULL;
    if (free != NULL && (own == NULL || free->key < own->key))
        return entry_of(free);
    return own != NULL ? entry_of(own) : NULL;
}

void groups_wait(struct groups *g, struct consumer *c)
{
    list_remove(&c->waiting);
    list_append(&g->waiting, &c->waiting);
}

bool groups_wake(struct broker *b, struct groups *g)
{
    if (list_is_empty(&g->waiting) || heap_top(&g->free) == NULL)
        return false;
    struct consumer *c = item_of(g->waiting.ring.next, struct consumer, waiting);
    list_remove(&c->waiting);
    consumer_place(b, c);
    return true;
}

void groups_leave(struct consumer *c)
{
    struct heap_node *n;
    while ((n = heap_top(&c->groups)) != NULL)
        group_take_away(item_of(n, struct group, place));
    heap_fini(&c->groups);
}

bool groups_want_more(const struct queue *q)
{
    uint64_t warm = q->ready_count - q->cold.count;
    return q->groups != NULL && heap_top(&q->groups->free) == NULL && !list_is_empty(&q->groups->waiting) &&
           warm < GROUPS_AHEAD_MESSAGES && q->cold.warm_cost < GROUPS_AHEAD_BYTES;
}

/* ---- Another header, or none. */

struct refit {
    struct broker *b;
    struct queue *q;
};

static void add_ready(void *arg, struct entry *e)
{
    const struct refit *r = arg;
    groups_add(r->b, r->q, e);
}

static void remove_ready(void *arg, struct entry *e)
{
    const struct refit *r = arg;
    groups_remove(r->b, r->q, e);
}

void groups_refit(struct broker *b, struct queue *q)
{
    struct groups *new = groups_create(b, q), *old = q->groups;
    struct refit r = {.b = b, .q = q};
    struct entry *e;
    bool is_same = new != NULL &&old != NULL &&bytes_equal(new->header, old->header);
    if (is_same || new == old) {
        groups_destroy(new);
        return;
    }
    if (old != NULL) {
        ready_each(&q->ready, remove_ready, &r);
        list_each (e, &q->out, struct entry, in_queue)
            groups_settle(b, q, e->msg);
        consumer_wake_all(b, &old->waiting);
        groups_destroy(old);
    }
    q->groups = new;
    if (new == NULL)
        return;
    list_each (e, &q->out, struct entry, in_queue)
        groups_send(b, q, e->msg, e->consumer);
    ready_each(&q->ready, add_ready, &r);
}

/* ---- Invariants. */

void groups_check(const struct broker *b, const struct queue *q)
{
    const struct groups *g = q->groups;
    uint64_t members_out = 0, out = 0;
    const struct entry *e;
    (void)b;
    for (struct map_node *n = map_walk(&g->members, NULL); n != NULL; n = map_walk(&g->members, n)) {
        const struct member *m = item_of(n, struct member, in_members);
        CHECK(m->entry->queue == q && m->in_group.key == ready_rank(&q->ready, m->entry));
        CHECK(m->group->out > 0 || m->group->in == &g->free);
        CHECK(m->group->in == NULL || m->group->place.key == first_of(m->group)->key);
    }
    for (struct map_node *n = map_walk(&g->groups, NULL); n != NULL; n = map_walk(&g->groups, n)) {
        const struct group *group = item_of(n, struct group, in_groups);
        CHECK(group->out > 0 || heap_top(&group->ready) != NULL);
        out += group->out;
    }
    CHECK(g->members.count == q->ready_count - q->cold.count);
    list_each (e, &q->out, struct entry, in_queue) {
        uint64_t hash[2];
        members_out += read_hash(g, e->msg, hash);
    }
    CHECK(members_out == out);
}
