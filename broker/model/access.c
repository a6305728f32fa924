#include "broker/model/access.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/pattern.h"
#include "base/str.h"
#include "broker/model/consumer.h"
#include "broker/model/exchange.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/definition.h"
#include "broker/port/spec.h"
#include "codec/table.h"

static const char *const right_words[RIGHTS] = {"configure", "write", "read"};

/* ---- What was decided. */

struct decision {
    struct map_node in_access;
    uint8_t known, allowed; /* bits by right */
    enum resource what;
    struct bytes name; /* in data */
    uint8_t data[];
};

static void decisions_forget(struct access *a)
{
    for (struct map_node *n; (n = map_walk(&a->decisions, NULL)) != NULL;) {
        map_remove(&a->decisions, n);
        free(item_of(n, struct decision, in_access));
    }
}

static struct decision *decision_get(const struct broker *b, struct access *a, enum resource what, struct bytes name)
{
    uint64_t hash = hash_bytes(name, b->hash_seed + what);
    for (struct map_node *n = map_first(&a->decisions, hash); n != NULL; n = map_next(n)) {
        struct decision *d = item_of(n, struct decision, in_access);
        if (d->what == what && bytes_equal(d->name, name))
            return d;
    }
    if (a->decisions.count >= ACCESS_DECISIONS_MAX)
        decisions_forget(a); /* clients choose names */
    struct decision *d = alloc_zeroed(sizeof *d + name.len);
    d->what = what;
    d->name = bytes_of(d->data, name.len);
    if (name.len > 0)
        memcpy(d->data, name.at, name.len);
    map_add(&a->decisions, &d->in_access, hash);
    return d;
}

static bool may_be_dear(const struct broker *b, struct access *a)
{
    if (a->dear_until_ms > b->now.ms + (uint64_t)(ACCESS_DEAR_BURST - 1) * ACCESS_DEAR_MS)
        return false;
    if (a->dear_until_ms < b->now.ms)
        a->dear_until_ms = b->now.ms;
    a->dear_until_ms += ACCESS_DEAR_MS;
    return true;
}

/* *known: it will be so the next time too. */
static bool matches(const struct broker *b, struct access *a, struct pattern *p, struct bytes text, bool *known)
{
    enum pattern_match m = pattern_match_within(p, text, ACCESS_STEPS);
    *known = m != PATTERN_FAILED || may_be_dear(b, a);
    if (m == PATTERN_FAILED && *known)
        m = pattern_match(p, text);
    return m == PATTERN_MATCHES;
}

bool access_allows(struct broker *b, const struct outlet *o, enum right right, enum resource what, struct bytes name)
{
    struct access *a = o->access;
    if (what == RESOURCE_EXCHANGE && name.len == 0)
        name = BYTES("amq.default");
    if (a->is_all[right])
        return true;
    struct decision *d = decision_get(b, a, what, name);
    if ((d->known >> right & 1) == 0) {
        bool known, allowed = matches(b, a, a->patterns[right], name, &known);
        d->known |= (uint8_t)(known ? 1U << right : 0);
        d->allowed |= (uint8_t)(allowed ? 1U << right : 0);
    }
    return d->allowed >> right & 1;
}

char *access_refusal(const struct outlet *o, enum right right, enum resource what, struct bytes name)
{
    if (what == RESOURCE_EXCHANGE && name.len == 0)
        name = BYTES("amq.default");
    return str_format("%s access to %s '%.*s' in vhost '%.*s' refused for user '%.*s'", right_words[right],
                      what == RESOURCE_QUEUE ? "queue" : "exchange", BYTES_ARG(name), BYTES_ARG(o->vhost->name),
                      BYTES_ARG(o->access->user->name));
}

/* ---- Permissions. */

static char *refuse_pattern(const char *key, struct bytes text)
{
    char *why = NULL;
    struct pattern *p = pattern_create(text, &why);
    if (p != NULL) {
        pattern_destroy(p);
        return NULL;
    }
    char *refusal = str_format("%s: '%.*s' is not a valid regular expression: %s", key, BYTES_ARG(text), why);
    free(why);
    return refusal;
}

char *access_refuse(const struct spec *spec)
{
    char *why = NULL;
    for (int r = 0; why == NULL && r < RIGHTS; r++)
        why = refuse_pattern(right_words[r], table_find_string(spec->arguments, right_words[r]));
    return why;
}

/* Dies if it is no pattern: that was asked before. */
static struct pattern *pattern_get(struct bytes text)
{
    char *why = NULL;
    struct pattern *p = pattern_create(text, &why);
    CHECK(p != NULL);
    return p;
}

static void access_read(struct access *a)
{
    for (int r = 0; r < RIGHTS; r++) {
        struct bytes text = table_find_string(a->spec->arguments, right_words[r]);
        pattern_destroy(a->patterns[r]);
        a->patterns[r] = pattern_get(text);
        a->is_all[r] = bytes_equal(text, BYTES(".*"));
    }
}

struct access *access_find(const struct vhost *v, struct bytes user)
{
    for (struct map_node *n = map_first(&v->accesses, hash_bytes(user, v->hash_seed)); n != NULL; n = map_next(n)) {
        struct access *a = item_of(n, struct access, in_vhost);
        if (bytes_equal(a->user->name, user))
            return a;
    }
    return NULL;
}

static void cancel_unreadable(struct broker *b, struct outlet *o)
{
    struct consumer *c;
    for (size_t i = 0; i < o->stream_count; i++) {
        if (o->streams[i] == NULL)
            continue;
        list_each (c, &o->streams[i]->consumers, struct consumer, in_stream)
            if (!access_allows(b, o, RIGHT_READ, RESOURCE_QUEUE, c->queue->name))
                consumer_cancel(b, c);
    }
}

bool access_put(struct broker *b, struct vhost *v, struct user *u, const struct spec *spec)
{
    struct access *a = access_find(v, u->name);
    struct outlet *o;
    if (a == NULL) {
        a = alloc_zeroed(sizeof *a);
        a->user = u;
        a->vhost = v;
        map_init(&a->decisions);
        list_init(&a->outlets);
        list_append(&u->accesses, &a->in_user);
        map_add(&v->accesses, &a->in_vhost, hash_bytes(u->name, v->hash_seed));
    } else if (table_same_entries(a->spec->arguments, spec->arguments)) {
        return false;
    }
    free(a->spec);
    a->spec = spec_create(spec);
    access_read(a);
    decisions_forget(a);
    b->topology_version++;
    list_each (o, &a->outlets, struct outlet, in_access)
        cancel_unreadable(b, o);
    remember_definition(b, RECORD_DEFINE, DEFINE_PERMISSION, a->spec);
    return true;
}

struct access *access_of_machine(struct broker *b, struct vhost *v)
{
    if (v->machine != NULL)
        return v->machine;
    struct access *a = v->machine = alloc_zeroed(sizeof *a);
    a->user = user_of_machine(b);
    a->vhost = v;
    map_init(&a->decisions);
    list_init(&a->outlets);
    list_append(&a->user->accesses, &a->in_user);
    for (int r = 0; r < RIGHTS; r++)
        a->is_all[r] = true;
    return a;
}

static void access_free(struct access *a)
{
    CHECK(list_is_empty(&a->outlets));
    decisions_forget(a);
    map_fini(&a->decisions);
    for (int r = 0; r < RIGHTS; r++)
        pattern_destroy(a->patterns[r]);
    list_remove(&a->in_user);
    if (a != a->vhost->machine)
        map_remove(&a->vhost->accesses, &a->in_vhost);
    free(a->spec);
    free(a);
}

void access_expel(struct broker *b, struct access *a, const char *why)
{
    while (!list_is_empty(&a->outlets))
        outlet_expel(b, item_of(a->outlets.ring.next, struct outlet, in_access), why);
}

void access_remove(struct broker *b, struct access *a, const char *why)
{
    access_expel(b, a, why);
    remember_definition(b, RECORD_UNDEFINE, DEFINE_PERMISSION, a->spec);
    access_free(a);
}

/* ---- Topic permissions. */

/* Puts a value into a pattern so that it means itself. */
static void put_literally(struct pen *p, struct bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.at[i];
        bool is_word =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c > 127;
        if (!is_word)
            pen_u8(p, '\\');
        pen_u8(p, c);
    }
}

/* The pattern with {username} and {vhost} replaced, which the caller frees; *len: of it. */
static uint8_t *expand(struct bytes text, const struct spec *spec, size_t *len)
{
    const struct bytes user = BYTES("{username}"), vhost = BYTES("{vhost}");
    size_t longest = spec->name.len > spec->vhost.len ? spec->name.len : spec->vhost.len;
    size_t room = text.len * (1 + 2 * longest) + 1;
    uint8_t *to = alloc(room);
    struct pen p = pen_over(to, room);
    while (text.len > 0) {
        size_t step = 1;
        if (bytes_start_with(text, user)) {
            put_literally(&p, spec->name);
            step = user.len;
        } else if (bytes_start_with(text, vhost)) {
            put_literally(&p, spec->vhost);
            step = vhost.len;
        } else {
            pen_u8(&p, text.at[0]);
        }
        text = bytes_of(text.at + step, text.len - step);
    }
    *len = pen_written(&p).len;
    return to;
}

static struct pattern *topic_pattern(const struct spec *spec, const char *key, char **why)
{
    size_t len;
    struct bytes text = table_find_string(spec->arguments, key);
    if (text.len > PATTERN_BYTES_MAX) {
        *why = str_format("longer than %d bytes", PATTERN_BYTES_MAX);
        return NULL;
    }
    uint8_t *expanded = expand(text, spec, &len);
    struct pattern *p = pattern_create(bytes_of(expanded, len), why);
    free(expanded);
    return p;
}

char *topic_access_refuse(const struct spec *spec)
{
    static const char *const keys[] = {"write", "read"};
    if (spec->key.len > DEFINITION_NAME_MAX)
        return str_format("an exchange's name has at most %d bytes", DEFINITION_NAME_MAX);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char *why = NULL;
        struct pattern *p = topic_pattern(spec, keys[i], &why);
        pattern_destroy(p);
        if (p == NULL) {
            char *refusal = str_format("%s: '%.*s' is not a valid regular expression: %s", keys[i],
                                       BYTES_ARG(table_find_string(spec->arguments, keys[i])), why);
            free(why);
            return refusal;
        }
    }
    return NULL;
}

static uint64_t topic_hash(const struct vhost *v, struct bytes user, struct bytes exchange)
{
    return hash_mix(hash_bytes(user, v->hash_seed), hash_bytes(exchange, v->hash_seed));
}

struct topic_access *topic_access_find(const struct vhost *v, struct bytes user, struct bytes exchange)
{
    for (struct map_node *n = map_first(&v->topics, topic_hash(v, user, exchange)); n != NULL; n = map_next(n)) {
        struct topic_access *t = item_of(n, struct topic_access, in_vhost);
        if (bytes_equal(t->spec->name, user) && bytes_equal(t->spec->key, exchange))
            return t;
    }
    return NULL;
}

static void topic_access_clear(struct topic_access *t)
{
    pattern_destroy(t->write);
    pattern_destroy(t->read);
    free(t->spec);
}

bool topic_access_put(struct broker *b, struct vhost *v, struct user *u, const struct spec *spec)
{
    char *why = NULL;
    struct topic_access *t = topic_access_find(v, spec->name, spec->key);
    if (t == NULL) {
        t = alloc_zeroed(sizeof *t);
        t->vhost = v;
        list_append(&u->topics, &t->in_user);
        map_add(&v->topics, &t->in_vhost, topic_hash(v, spec->name, spec->key));
    } else if (table_same_entries(t->spec->arguments, spec->arguments)) {
        return false;
    }
    topic_access_clear(t);
    t->spec = spec_create(spec);
    t->write = topic_pattern(t->spec, "write", &why);
    t->read = topic_pattern(t->spec, "read", &why);
    CHECK(t->write != NULL && t->read != NULL);
    b->topology_version++;
    remember_definition(b, RECORD_DEFINE, DEFINE_TOPIC_PERMISSION, t->spec);
    return true;
}

static void topic_access_free(struct topic_access *t)
{
    map_remove(&t->vhost->topics, &t->in_vhost);
    list_remove(&t->in_user);
    topic_access_clear(t);
    free(t);
}

void topic_access_remove(struct broker *b, struct topic_access *t)
{
    remember_definition(b, RECORD_UNDEFINE, DEFINE_TOPIC_PERMISSION, t->spec);
    b->topology_version++;
    topic_access_free(t);
}

bool access_allows_key(const struct broker *b, const struct outlet *o, enum right right, const struct exchange *x,
                       struct bytes key)
{
    bool known;
    if (o->vhost->topics.count == 0 || x->kind != &exchange_topic)
        return true;
    const struct topic_access *t = topic_access_find(o->vhost, o->access->user->name, x->name);
    return t == NULL || matches(b, o->access, right == RIGHT_WRITE ? t->write : t->read, key, &known);
}

char *access_key_refusal(const struct outlet *o, enum right right, const struct exchange *x, struct bytes key)
{
    return str_format("%s access to topic '%.*s' in exchange '%.*s' in vhost '%.*s' refused for user '%.*s'",
                      right_words[right], BYTES_ARG(key), BYTES_ARG(x->name), BYTES_ARG(o->vhost->name),
                      BYTES_ARG(o->access->user->name));
}

void access_forget_all(struct vhost *v)
{
    struct map_node *n;
    while ((n = map_walk(&v->accesses, NULL)) != NULL)
        access_free(item_of(n, struct access, in_vhost));
    while ((n = map_walk(&v->topics, NULL)) != NULL)
        topic_access_free(item_of(n, struct topic_access, in_vhost));
    if (v->machine != NULL)
        access_free(v->machine);
    v->machine = NULL;
}
