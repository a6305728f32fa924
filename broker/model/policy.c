#include "broker/model/policy.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/pattern.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/queue_change.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

/* Classes of objects: a queue's is the bit of its enum queue_type. */
enum { CLASS_EXCHANGE = 1 << (QUEUE_STREAM + 1), CLASS_STREAM = 1 << QUEUE_STREAM };

/* ---- Making and taking away. */

bool policy_is_one(const struct spec *spec)
{
    return bytes_equal(spec->type, BYTES("policy")) || bytes_equal(spec->type, BYTES("operator_policy"));
}

/* With a key that a stream has no use for, a policy does not apply to streams at all, as in RabbitMQ. */
static bool has_key_of_queues(struct bytes definition)
{
    static const char *const keys[] = {
        "message-ttl",
        "expires",
        "max-length",
        "overflow",
        "dead-letter-exchange",
        "dead-letter-routing-key",
        "dead-letter-strategy",
        "delivery-limit",
        "consumer-timeout",
        "consumer-disconnected-timeout",
        "delayed-retry-type",
        "delayed-retry-min",
        "delayed-retry-max",
        "max-in-memory-length",
        "max-in-memory-bytes",
        "queue-mode",
        "queue-version",
        "queue-master-locator",
        "ha-mode",
        "ha-params",
        "ha-sync-mode",
        "ha-promote-on-shutdown",
        "ha-promote-on-failure",
    };
    struct field f;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (table_find(definition, bytes_of_string(keys[i]), &f))
            return true;
    return false;
}

static unsigned classes_of(struct bytes apply_to)
{
    enum { QUEUES = 1 << QUEUE_CLASSIC | 1 << QUEUE_QUORUM | 1 << QUEUE_STREAM };
    static const struct {
        const char *word;
        unsigned classes;
    } words[] = {
        {"queues", QUEUES},
        {"exchanges", CLASS_EXCHANGE},
        {"classic_queues", 1 << QUEUE_CLASSIC},
        {"quorum_queues", 1 << QUEUE_QUORUM},
        {"streams", CLASS_STREAM},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (bytes_equal(apply_to, bytes_of_string(words[i].word)))
            return words[i].classes;
    return QUEUES | CLASS_EXCHANGE;
}

static void read_value(struct policy *p, struct bytes value)
{
    struct field f;
    char *why = NULL;
    if (table_find(value, BYTES("definition"), &f) && f.type == 'F')
        p->definition = f.bytes;
    if (table_find(value, BYTES("priority"), &f) && field_is_integer(&f))
        p->priority = f.integer;
    p->applies_to = classes_of(table_find_string(value, "apply-to"));
    if (has_key_of_queues(p->definition))
        p->applies_to &= ~(unsigned)CLASS_STREAM;
    struct bytes pattern = table_find_string(value, "pattern");
    if (pattern.len > 0)
        p->pattern = pattern_create(pattern, &why);
    if (why != NULL) /* it was checked when it was put; a newer library may see that otherwise */
        p->applies_to = 0;
    free(why);
}

static bool ranks_before(const struct policy *a, const struct policy *b)
{
    return a->priority != b->priority ? a->priority > b->priority : bytes_compare(a->name, b->name) < 0;
}

/* A pass begins, or begins anew: what is new stays so until one has seen all. */
static void mark_stale(struct broker *b, struct vhost *v)
{
    v->refresh_cursor = 0;
    v->has_fresh_exchanges = false;
    if (!link_is_linked(&v->stale))
        list_append(&b->stale, &v->stale);
}

struct policy *policy_add(struct broker *b, struct vhost *v, const struct spec *spec)
{
    struct policy *p = alloc_zeroed(sizeof *p);
    struct field value;
    p->spec = spec_create(spec);
    p->name = p->spec->name;
    p->kind = bytes_equal(spec->type, BYTES("policy")) ? POLICY_OF_USER : POLICY_OF_OPERATOR;
    p->is_new = true;
    p->refs = 1;
    list_init(&p->pairs);
    link_init(&p->in_vhost);
    if (table_find(p->spec->arguments, BYTES("value"), &value) && value.type == 'F')
        read_value(p, value.bytes);
    struct link *at = v->policies[p->kind].ring.next;
    while (at != &v->policies[p->kind].ring && ranks_before(item_of(at, struct policy, in_vhost), p))
        at = at->next;
    list_insert(at, &p->in_vhost);
    mark_stale(b, v);
    return p;
}

static void policy_unref(struct policy *p)
{
    if (p == NULL || --p->refs > 0)
        return;
    CHECK(list_is_empty(&p->pairs) && !link_is_linked(&p->in_vhost));
    pattern_destroy(p->pattern);
    free(p->spec);
    free(p);
}

void policy_drop(struct broker *b, struct vhost *v, struct policy *p)
{
    if (p == NULL)
        return;
    list_remove(&p->in_vhost);
    p->is_gone = true;
    if (v != NULL)
        mark_stale(b, v);
    policy_unref(p);
}

void policy_forget_all(struct vhost *v)
{
    struct policy *p;
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        list_each (p, &v->policies[kind], struct policy, in_vhost)
            list_remove(&p->in_vhost);
    list_remove(&v->stale);
}

/* ---- Merging the definitions of two (reference queue-features 8.2). */

enum merge { MERGE_OPERATOR, MERGE_MIN, MERGE_MAX, MERGE_LIMIT };

static enum merge merge_of(struct bytes key)
{
    static const struct {
        const char *key;
        enum merge how;
    } keys[] = {
        {"message-ttl", MERGE_MIN},          {"expires", MERGE_MIN},
        {"max-length", MERGE_MIN},           {"max-length-bytes", MERGE_MIN},
        {"max-in-memory-length", MERGE_MIN}, {"max-in-memory-bytes", MERGE_MIN},
        {"delayed-retry-max", MERGE_MIN},    {"delayed-retry-min", MERGE_MAX},
        {"target-group-size", MERGE_MAX},    {"max-publish-rate", MERGE_MIN},
        {"delivery-limit", MERGE_LIMIT},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (bytes_equal(key, bytes_of_string(keys[i].key)))
            return keys[i].how;
    return MERGE_OPERATOR;
}

/* Which of the two counts. */
static const struct field *merged(const struct field *user, const struct field *op)
{
    enum merge how = merge_of(user->key);
    if (how == MERGE_OPERATOR || !field_is_integer(user) || !field_is_integer(op))
        return op;
    bool user_is_less = user->integer < op->integer;
    if (how == MERGE_LIMIT && (user->integer < 0 || op->integer < 0)) /* negative: no limit */
        return user_is_less ? op : user;
    return (how == MERGE_MAX) != user_is_less ? user : op;
}

/* Both in one table, on the heap. */
static struct bytes merge_definitions(struct bytes user, struct bytes op)
{
    size_t room = user.len + op.len;
    uint8_t *at = alloc(room + 1);
    struct pen to = pen_over(at, room);
    struct field f, other;
    for (struct cursor c = cursor_over(user); table_next(&c, &f);)
        table_put_field(&to, table_find(op, f.key, &other) ? merged(&f, &other) : &f);
    for (struct cursor c = cursor_over(op); table_next(&c, &f);)
        if (!table_find(user, f.key, &other))
            table_put_field(&to, &f);
    CHECK(!to.full);
    return bytes_of(at, pen_written(&to).len);
}

/* ---- Pairs. */

static struct policy *keeper_of(const struct policy_pair *p)
{
    return p->of[POLICY_OF_USER] != NULL ? p->of[POLICY_OF_USER] : p->of[POLICY_OF_OPERATOR];
}

static struct bytes definition_of(const struct policy *p)
{
    return p != NULL ? p->definition : (struct bytes){0};
}

/* Another hold on the pair of these two; NULL if there is neither. */
static struct policy_pair *pair_of(struct policy *user, struct policy *op)
{
    struct policy *keeper = user != NULL ? user : op;
    struct policy_pair *p;
    if (keeper == NULL)
        return NULL;
    list_each (p, &keeper->pairs, struct policy_pair, in_policy)
        if (p->of[POLICY_OF_USER] == user && p->of[POLICY_OF_OPERATOR] == op) {
            p->refs++;
            return p;
        }
    p = alloc_zeroed(sizeof *p);
    p->refs = 1;
    p->of[POLICY_OF_USER] = user;
    p->of[POLICY_OF_OPERATOR] = op;
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        if (p->of[kind] != NULL)
            p->of[kind]->refs++;
    p->definition = merge_definitions(definition_of(user), definition_of(op));
    queue_options_of_policy(p->definition, &p->options);
    list_append(&keeper->pairs, &p->in_policy);
    return p;
}

void policy_pair_unref(struct policy_pair *p)
{
    if (p == NULL || --p->refs > 0)
        return;
    list_remove(&p->in_policy);
    CHECK(keeper_of(p) != NULL);
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        policy_unref(p->of[kind]);
    free((void *)(uintptr_t)p->definition.at);
    free(p);
}

/* ---- What applies. */

static bool applies(struct policy *p, unsigned class, struct bytes name)
{
    if ((p->applies_to & class) == 0)
        return false;
    if (p->pattern == NULL)
        return true;
    unsigned steps = p->failures < POLICY_FAILURES_MAX ? PATTERN_STEPS_MAX : POLICY_STEPS;
    enum pattern_match match = pattern_match_within(p->pattern, name, steps);
    if (match == PATTERN_FAILED && p->failures < POLICY_FAILURES_MAX)
        p->failures++;
    return match == PATTERN_MATCHES;
}

/* The first that applies.  is_known: `now`, perhaps gone since, did when the object was last looked at (NULL: none
 * did), so what ranks before it and is not new does not. */
static struct policy *look(const struct list *all, bool is_known, struct policy *now, unsigned class, struct bytes name)
{
    struct policy *p;
    list_each (p, all, struct policy, in_vhost) {
        if (is_known && p == now)
            return now;
        bool does_not = is_known && !p->is_new && (now == NULL || ranks_before(p, now));
        if (!does_not && applies(p, class, name))
            return p;
    }
    return NULL;
}

/* The pair for an object that has `now`. */
static struct policy_pair *look_for_pair(const struct vhost *v, bool is_known, const struct policy_pair *now,
                                         unsigned class, struct bytes name)
{
    struct policy *found[POLICY_KINDS];
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        found[kind] = look(&v->policies[kind], is_known, now == NULL ? NULL : now->of[kind], class, name);
    return pair_of(found[POLICY_OF_USER], found[POLICY_OF_OPERATOR]);
}

bool policy_are_any(const struct vhost *v)
{
    return !list_is_empty(&v->policies[POLICY_OF_USER]) || !list_is_empty(&v->policies[POLICY_OF_OPERATOR]);
}

/* Takes the new pair. */
static void give_queue(struct broker *b, struct queue *q, struct policy_pair *pair)
{
    struct policy_pair *before = q->policies;
    struct queue_options options;
    q->policies = pair;
    policy_merge_options(q->spec->options, pair, &options);
    queue_change_options(b, q, &options);
    policy_pair_unref(before); /* last: the options were views into it */
}

void policy_apply_to_queue(struct broker *b, struct queue *q)
{
    struct policy_pair *pair = NULL;
    if (policy_are_any(q->vhost))
        pair = look_for_pair(q->vhost, false, NULL, 1U << q->spec->options->type, q->name);
    give_queue(b, q, pair);
}

/* Takes the new pair. */
static void give_exchange(struct broker *b, struct exchange *x, struct policy_pair *pair)
{
    struct policy_pair *before = x->policies;
    struct field f;
    x->policies = pair;
    x->has_alternate = false;
    if ((table_find(x->spec->arguments, BYTES("alternate-exchange"), &f) && f.type == 'S') ||
        (pair != NULL && table_find(pair->definition, BYTES("alternate-exchange"), &f) && f.type == 'S')) {
        x->alternate = f.bytes;
        x->has_alternate = true;
    }
    b->topology_version++;
    policy_pair_unref(before);
}

void policy_apply_to_exchange(struct broker *b, struct exchange *x)
{
    struct policy_pair *pair = NULL;
    if (policy_are_any(x->vhost))
        pair = look_for_pair(x->vhost, false, NULL, CLASS_EXCHANGE, x->name);
    give_exchange(b, x, pair);
}

/* ---- A pass. */

static void refresh_queue(void *arg, struct map_node *n)
{
    struct broker *b = arg;
    struct queue *q = item_of(n, struct queue, in_vhost);
    struct policy_pair *pair = look_for_pair(q->vhost, true, q->policies, 1U << q->spec->options->type, q->name);
    if (b->refreshes_left > 0)
        b->refreshes_left--;
    if (pair == q->policies)
        policy_pair_unref(pair); /* one hold is enough */
    else
        give_queue(b, q, pair);
}

static void refresh_exchange(void *arg, struct map_node *n)
{
    struct broker *b = arg;
    struct exchange *x = item_of(n, struct exchange, in_vhost);
    struct policy_pair *pair = look_for_pair(x->vhost, true, x->policies, CLASS_EXCHANGE, x->name);
    if (b->refreshes_left > 0)
        b->refreshes_left--;
    if (pair == x->policies)
        policy_pair_unref(pair);
    else
        give_exchange(b, x, pair);
}

/* As many as the step may.  True: that was the last of them. */
static bool refresh_some(struct broker *b, struct vhost *v, const struct map *m,
                         void (*refresh)(void *arg, struct map_node *n))
{
    while (b->refreshes_left > 0) {
        b->refreshes_left--; /* a bucket may be empty */
        v->refresh_cursor = map_scan(m, v->refresh_cursor, refresh, b);
        if (v->refresh_cursor == 0)
            return true;
    }
    return false;
}

static void refresh_vhost(struct broker *b, struct vhost *v)
{
    struct policy *p;
    if (!v->has_fresh_exchanges)
        v->has_fresh_exchanges = refresh_some(b, v, &v->exchanges, refresh_exchange);
    if (!v->has_fresh_exchanges || !refresh_some(b, v, &v->queues, refresh_queue))
        return;
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        list_each (p, &v->policies[kind], struct policy, in_vhost)
            p->is_new = false;
    list_remove(&v->stale);
}

bool policy_must_refresh(const struct broker *b)
{
    return b->refreshes_left > 0 && !list_is_empty(&b->stale);
}

void policy_refresh(struct broker *b)
{
    while (policy_must_refresh(b))
        refresh_vhost(b, item_of(b->stale.ring.next, struct vhost, stale));
}

/* ---- With what was declared. */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b; /* SPEC_NONE is the greatest */
}

static uint64_t given_or(uint64_t a, uint64_t b)
{
    return a != SPEC_NONE ? a : b;
}

static bool has_key(const struct policy_pair *p, struct bytes key)
{
    struct field f;
    return table_find(p->definition, key, &f);
}

static void merge_words(struct queue_options *o, const struct policy_pair *pair)
{
    const struct queue_options *p = &pair->options;
    if (p->has_overflow && (!o->has_overflow || o->type == QUEUE_QUORUM)) {
        o->overflow = p->overflow;
        o->has_overflow = true;
    }
    if (!o->has_dead_letter_exchange && p->has_dead_letter_exchange) {
        o->has_dead_letter_exchange = true;
        o->dead_letter_exchange = p->dead_letter_exchange;
    }
    if (!o->has_dead_letter_routing_key && p->has_dead_letter_routing_key) {
        o->has_dead_letter_routing_key = true;
        o->dead_letter_routing_key = p->dead_letter_routing_key;
    }
    if (has_key(pair, BYTES("dead-letter-strategy")))
        o->at_least_once = p->at_least_once;
    if (o->retry_type == RETRY_DISABLED)
        o->retry_type = p->retry_type;
    if (o->retry_growth == RETRY_LINEAR)
        o->retry_growth = p->retry_growth;
    o->deduplicates |= p->deduplicates;
    if (o->deduplication_header.len == 0)
        o->deduplication_header = p->deduplication_header;
    if (o->group_header.len == 0)
        o->group_header = p->group_header;
}

void policy_merge_options(const struct queue_options *declared, const struct policy_pair *pair,
                          struct queue_options *out)
{
    *out = *declared;
    if (pair == NULL)
        return;
    const struct queue_options *p = &pair->options;
    out->message_ttl_ms = least(out->message_ttl_ms, p->message_ttl_ms);
    out->expires_ms = least(out->expires_ms, p->expires_ms);
    out->max_length = least(out->max_length, p->max_length);
    if (out->type == QUEUE_STREAM)
        out->max_length_bytes = given_or(p->max_length_bytes, out->max_length_bytes);
    else
        out->max_length_bytes = least(out->max_length_bytes, p->max_length_bytes);
    out->delivery_limit = least(out->delivery_limit, p->delivery_limit); /* negative, no limit, is SPEC_NONE */
    out->has_delivery_limit |= p->has_delivery_limit;
    out->consumer_timeout_ms = given_or(out->consumer_timeout_ms, p->consumer_timeout_ms);
    out->retry_min_ms = given_or(out->retry_min_ms, p->retry_min_ms);
    out->retry_max_ms = given_or(out->retry_max_ms, p->retry_max_ms);
    out->max_age_ms = given_or(p->max_age_ms, out->max_age_ms);
    out->segment_bytes = given_or(p->segment_bytes, out->segment_bytes);
    out->cache_size = given_or(out->cache_size, p->cache_size);
    out->cache_ttl_ms = given_or(out->cache_ttl_ms, p->cache_ttl_ms);
    out->publish_rate = least(out->publish_rate, p->publish_rate);
    merge_words(out, pair);
}
