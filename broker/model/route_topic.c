/* The topic exchange: a trie over words (reference amqp-protocol 5.5).
 *
 * A message's words are read once; what is followed is the set of trie nodes that the words so far can lead to.  A node
 * is in the set at most once, so the cost is bounded by words times nodes that match so far, whatever the number of #,
 * and does not grow with bindings that do not match.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/exchange.h"
#include "broker/model/route.h"
#include "broker/model/state.h"

struct topic_node {
    struct map_node in_index; /* of parent and word; not for the root, star and hash */
    struct topic_node *parent;
    struct topic_node *star, *hash; /* children for * and # */
    struct list bindings;
    uint64_t id;     /* what children are hashed with */
    uint64_t stamp;  /* of the last set it was put into */
    size_t children; /* that are in the index */
    bool is_hash;
    uint8_t word_len;
    uint8_t word[];
};

struct topic_index {
    struct topic_node *root;
    struct map nodes; /* children by parent and word */
    uint64_t next_id;
    uint64_t stamp;
};

static struct topic_node *node_create(struct topic_index *t, struct topic_node *parent, struct bytes word)
{
    struct topic_node *n = alloc(sizeof *n + word.len);
    *n = (struct topic_node){.parent = parent, .id = t->next_id++, .word_len = (uint8_t)word.len};
    if (word.len > 0)
        memcpy(n->word, word.at, word.len);
    list_init(&n->bindings);
    return n;
}

static void topic_init(struct broker *b, struct exchange *x)
{
    (void)b;
    x->topic = alloc_zeroed(sizeof *x->topic);
    map_init(&x->topic->nodes);
    x->topic->root = node_create(x->topic, NULL, BYTES(""));
}

static void topic_fini(struct broker *b, struct exchange *x)
{
    (void)b;
    CHECK(x->topic->nodes.count == 0);
    free(x->topic->root);
    map_fini(&x->topic->nodes);
    free(x->topic);
}

/* Cuts the next word off; false when there is none.  The empty key has no words; otherwise empty words are words. */
struct words {
    struct bytes rest;
    bool over;
};

static struct words words_of(struct bytes key)
{
    return (struct words){.rest = key, .over = key.len == 0};
}

static bool words_next(struct words *w, struct bytes *word)
{
    if (w->over)
        return false;
    const uint8_t *dot = w->rest.len == 0 ? NULL : memchr(w->rest.at, '.', w->rest.len);
    if (dot == NULL) {
        *word = w->rest;
        w->over = true;
        return true;
    }
    *word = bytes_of(w->rest.at, (size_t)(dot - w->rest.at));
    w->rest = bytes_of(dot + 1, w->rest.len - word->len - 1);
    return true;
}

static uint64_t word_hash(const struct topic_node *parent, struct bytes word, uint64_t seed)
{
    return hash_bytes(word, hash_mix(parent->id, seed));
}

static struct topic_node *child_find(const struct topic_index *t, const struct topic_node *parent, struct bytes word,
                                     uint64_t seed)
{
    if (parent->children == 0)
        return NULL;
    for (struct map_node *n = map_first(&t->nodes, word_hash(parent, word, seed)); n != NULL; n = map_next(n)) {
        struct topic_node *node = item_of(n, struct topic_node, in_index);
        if (node->parent == parent && bytes_equal(bytes_of(node->word, node->word_len), word))
            return node;
    }
    return NULL;
}

/* The child for one word of a pattern, made if need be. */
static struct topic_node *child_make(struct topic_index *t, struct topic_node *parent, struct bytes word, uint64_t seed)
{
    struct topic_node **special = bytes_equal(word, BYTES("*"))   ? &parent->star
                                  : bytes_equal(word, BYTES("#")) ? &parent->hash
                                                                  : NULL;
    if (special != NULL) {
        if (*special == NULL) {
            *special = node_create(t, parent, word);
            (*special)->is_hash = special == &parent->hash;
        }
        return *special;
    }
    struct topic_node *n = child_find(t, parent, word, seed);
    if (n == NULL) {
        n = node_create(t, parent, word);
        map_add(&t->nodes, &n->in_index, word_hash(parent, word, seed));
        parent->children++;
    }
    return n;
}

static void topic_bind(struct broker *b, struct exchange *x, struct binding *bd)
{
    struct topic_node *at = x->topic->root;
    struct bytes word;
    for (struct words w = words_of(bd->key); words_next(&w, &word);)
        at = child_make(x->topic, at, word, b->hash_seed);
    list_append(&at->bindings, &bd->in_index);
    bd->index_node = at;
}

/* Frees a node that nothing needs, and its parents that nothing needs then. */
static void topic_unbind(struct exchange *x, struct binding *bd)
{
    struct topic_node *n = bd->index_node;
    list_remove(&bd->in_index);
    while (n->parent != NULL && list_is_empty(&n->bindings) && n->children == 0 && n->star == NULL && n->hash == NULL) {
        struct topic_node *parent = n->parent;
        if (parent->star == n) {
            parent->star = NULL;
        } else if (parent->hash == n) {
            parent->hash = NULL;
        } else {
            map_remove(&x->topic->nodes, &n->in_index);
            parent->children--;
        }
        free(n);
        n = parent;
    }
}

/* A set of nodes: route->states[which]. */
struct state_set {
    struct route *route;
    int which;
    size_t n;
};

/* Puts a node into the set, and what # leads to without a word. */
static void set_add(struct topic_index *t, struct state_set *s, struct topic_node *n)
{
    for (; n != NULL && n->stamp != t->stamp; n = n->hash) {
        n->stamp = t->stamp;
        size_t *capacity = &s->route->state_capacity[s->which];
        if (s->n == *capacity) {
            *capacity = alloc_grown(*capacity, s->n + 1);
            s->route->states[s->which] =
                alloc_array(s->route->states[s->which], *capacity, sizeof(struct topic_node *));
        }
        s->route->states[s->which][s->n++] = n;
    }
}

static bool topic_route_key(struct broker *b, struct exchange *x, struct bytes key, struct route *to)
{
    struct topic_index *t = x->topic;
    struct state_set now = {.route = to, .which = 0};
    t->stamp++;
    set_add(t, &now, t->root);
    struct bytes word;
    for (struct words w = words_of(key); now.n > 0 && words_next(&w, &word);) {
        struct state_set next = {.route = to, .which = 1 - now.which};
        t->stamp++;
        for (size_t i = 0; i < now.n; i++) {
            struct topic_node *n = to->states[now.which][i];
            set_add(t, &next, child_find(t, n, word, b->hash_seed));
            set_add(t, &next, n->star);
            if (n->is_hash)
                set_add(t, &next, n);
        }
        now = next;
    }
    bool found = false;
    for (size_t i = 0; i < now.n; i++) {
        struct binding *bd;
        list_each (bd, &to->states[now.which][i]->bindings, struct binding, in_index) {
            route_add_binding(b, to, bd);
            found = true;
        }
    }
    return found;
}

static bool topic_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    bool found = false;
    struct bytes key;
    for (struct key_walk w = routing_keys(message); key_walk_next(&w, &key);)
        found |= topic_route_key(b, x, key, to);
    return found;
}

const struct exchange_kind exchange_topic = {.name = {.at = (const uint8_t *)"topic", .len = 5},
                                             .init = topic_init,
                                             .fini = topic_fini,
                                             .bind = topic_bind,
                                             .unbind = topic_unbind,
                                             .route = topic_route};
