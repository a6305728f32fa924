#include "broker/admin/definitions.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/admin/json.h"
#include "codec/table.h"

struct key {
    uint8_t *at; /* owned */
    size_t n, capacity;
};

/* An object of the document, and where it belongs. */
struct item {
    struct key key;    /* orders those of a section, and is unlike for unlike objects */
    json_t *object;    /* owned */
    uint64_t sequence; /* of two with the same key the later counts: it was seen twice */
};

enum section {
    USERS,
    VHOSTS,
    PERMISSIONS,
    TOPIC_PERMISSIONS,
    PARAMETERS,
    GLOBAL_PARAMETERS,
    POLICIES,
    QUEUES,
    EXCHANGES,
    BINDINGS,
    SECTIONS
};

/* In the order of RabbitMQ 3.10's exports. */
static const struct {
    const char *name;
    bool is_of_vhost;
} sections[SECTIONS] = {
    [USERS] = {"users", false},
    [VHOSTS] = {"vhosts", false},
    [PERMISSIONS] = {"permissions", false},
    [TOPIC_PERMISSIONS] = {"topic_permissions", false},
    [PARAMETERS] = {"parameters", true},
    [GLOBAL_PARAMETERS] = {"global_parameters", false},
    [POLICIES] = {"policies", true},
    [QUEUES] = {"queues", true},
    [EXCHANGES] = {"exchanges", true},
    [BINDINGS] = {"bindings", true},
};

/* What is asked of the broker, and then of each virtual host. */
static const enum inspection_kind of_broker[] = {INSPECT_VHOSTS, INSPECT_USERS, INSPECT_PARAMETERS};
static const enum inspection_kind of_vhost[] = {INSPECT_PERMISSIONS, INSPECT_TOPIC_PERMISSIONS, INSPECT_EXCHANGES,
                                                INSPECT_QUEUES, INSPECT_BINDINGS};
enum { OF_BROKER = sizeof of_broker / sizeof of_broker[0], OF_VHOST = sizeof of_vhost / sizeof of_vhost[0] };

struct definitions_writer {
    char *version, *product, *product_version; /* owned */
    bool has_vhost;
    struct key *vhosts; /* owned: the names of those whose objects are asked for */
    size_t n_vhosts, vhosts_capacity;
    struct {
        struct item *at; /* owned */
        size_t n, capacity;
    } items[SECTIONS];
    uint64_t sequence;
    size_t step;             /* of of_broker, then OF_VHOST for each virtual host */
    struct inspection *page; /* owned: to be asked again for what is left; NULL: not begun */
};

/* ---- Keys. */

static struct bytes key_bytes(const struct key *k)
{
    return bytes_of(k->at, k->n);
}

static void key_put(struct key *k, uint8_t byte)
{
    if (k->n == k->capacity) {
        k->capacity = alloc_grown(k->capacity, k->n + 1);
        k->at = alloc_array(k->at, k->capacity, 1);
    }
    k->at[k->n++] = byte;
}

/* Ends a word with a 0, that is less than any other byte; so that this is the only one, 0 and 1 become 1 1 and 1 2. */
static void key_add(struct key *k, struct bytes word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (word.at[i] <= 1)
            key_put(k, 1);
        key_put(k, word.at[i] <= 1 ? word.at[i] + 1 : word.at[i]);
    }
    key_put(k, 0);
}

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = bytes_compare(key_bytes(&x->key), key_bytes(&y->key));
    return order != 0 ? order : (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* Takes the object; its members of those names, text or tables, are its key. */
static void add_item(struct definitions_writer *w, enum section s, json_t *object, const char *const *names)
{
    struct key k = {0};
    for (; *names != NULL; names++) {
        const json_t *value = json_object_get(object, *names);
        char *dumped = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
        key_add(&k, dumped != NULL ? bytes_of_string(dumped) : json_text(value));
        free(dumped);
    }
    if (w->items[s].n == w->items[s].capacity) {
        w->items[s].capacity = alloc_grown(w->items[s].capacity, w->items[s].n + 1);
        w->items[s].at = alloc_array(w->items[s].at, w->items[s].capacity, sizeof(struct item));
    }
    w->items[s].at[w->items[s].n++] = (struct item){.key = k, .object = object, .sequence = w->sequence++};
}

/* ---- Rows. */

/* The column as JSON; what it is where there is none, which is taken. */
static json_t *column(struct bytes row, const char *key, json_t *otherwise)
{
    struct field f;
    if (!table_find(row, bytes_of_string(key), &f))
        return otherwise;
    json_decref(otherwise);
    return json_of_value(&f);
}

/* In the export of one, exchanges, queues and bindings do not say in which they are. */
static void set_vhost(const struct definitions_writer *w, json_t *object, struct bytes row)
{
    if (!w->has_vhost)
        json_set(object, "vhost", json_of_text(table_find_string(row, "vhost")));
}

static void set_columns(json_t *object, struct bytes row, const char *const *names)
{
    for (; *names != NULL; names++)
        json_set(object, *names, column(row, *names, json_string("")));
}

static bool is_predeclared(struct bytes exchange)
{
    return exchange.len == 0 || bytes_start_with(exchange, BYTES("amq."));
}

static void ask_for_vhost(struct definitions_writer *w, struct bytes name)
{
    for (size_t i = 0; i < w->n_vhosts; i++)
        if (bytes_equal(key_bytes(&w->vhosts[i]), name))
            return;
    if (w->n_vhosts == w->vhosts_capacity) {
        w->vhosts_capacity = alloc_grown(w->vhosts_capacity, w->n_vhosts + 1);
        w->vhosts = alloc_array(w->vhosts, w->vhosts_capacity, sizeof *w->vhosts);
    }
    w->vhosts[w->n_vhosts++] = (struct key){.at = alloc_copy(name.at, name.len), .n = name.len};
}

static void add_vhost(struct definitions_writer *w, struct bytes row)
{
    static const char *const key[] = {"name", NULL};
    static const char *const described[] = {"description", "tags", "default_queue_type", NULL};
    json_t *vhost = json_object(), *metadata = json_object();
    json_set(vhost, "name", json_of_text(table_find_string(row, "name")));
    for (const char *const *k = described; *k != NULL; k++) {
        json_t *value = column(row, *k, NULL);
        if (value != NULL)
            json_set(metadata, *k, value);
    }
    if (json_object_size(metadata) > 0)
        json_set(vhost, "metadata", json_incref(metadata));
    json_decref(metadata);
    ask_for_vhost(w, table_find_string(row, "name"));
    add_item(w, VHOSTS, vhost, key);
}

static void add_user(struct definitions_writer *w, struct bytes row)
{
    static const char *const key[] = {"name", NULL};
    json_t *user = json_object();
    json_set(user, "name", json_of_text(table_find_string(row, "name")));
    json_set(user, "password_hash", column(row, "password_hash", json_string("")));
    json_set(user, "hashing_algorithm",
             column(row, "hashing_algorithm", json_string("rabbit_password_hashing_sha256")));
    json_set(user, "tags", column(row, "tags", json_array()));
    json_set(user, "limits", column(row, "limits", json_object()));
    add_item(w, USERS, user, key);
}

static void add_permission(struct definitions_writer *w, struct bytes row)
{
    static const char *const columns[] = {"user", "vhost", "configure", "write", "read", NULL};
    static const char *const key[] = {"vhost", "user", NULL};
    json_t *permission = json_object();
    set_columns(permission, row, columns);
    add_item(w, PERMISSIONS, permission, key);
}

static void add_topic_permission(struct definitions_writer *w, struct bytes row)
{
    static const char *const columns[] = {"user", "vhost", "exchange", "write", "read", NULL};
    static const char *const key[] = {"vhost", "user", "exchange", NULL};
    json_t *permission = json_object();
    set_columns(permission, row, columns);
    add_item(w, TOPIC_PERMISSIONS, permission, key);
}

static void add_policy(struct definitions_writer *w, struct bytes row)
{
    static const char *const key[] = {"vhost", "name", NULL};
    struct field f;
    struct bytes value = table_find(row, BYTES("value"), &f) && f.type == 'F' ? f.bytes : (struct bytes){0};
    json_t *policy = json_object();
    json_set(policy, "vhost", json_of_text(table_find_string(row, "vhost")));
    json_set(policy, "name", json_of_text(table_find_string(row, "name")));
    json_set(policy, "pattern", column(value, "pattern", json_string("")));
    json_set(policy, "apply-to", column(value, "apply-to", json_string("all")));
    json_set(policy, "definition", column(value, "definition", json_object()));
    json_set(policy, "priority", column(value, "priority", json_integer(0)));
    add_item(w, POLICIES, policy, key);
}

static void add_parameter(struct definitions_writer *w, struct bytes row)
{
    static const char *const key[] = {"vhost", "component", "name", NULL};
    struct bytes component = table_find_string(row, "component"), name = table_find_string(row, "name");
    bool is_global = table_find_string(row, "vhost").len == 0;
    if (bytes_equal(component, BYTES("policy"))) {
        add_policy(w, row);
        return;
    }
    if (is_global && bytes_equal(name, BYTES(DEFINITIONS_HASH_PARAMETER)))
        return;
    json_t *parameter = json_object(), *value = column(row, "value", json_object());
    if (is_global) {
        json_set(parameter, "name", json_of_text(name));
        json_set(parameter, "value", value);
    } else {
        json_set(parameter, "value", value);
        json_set(parameter, "vhost", json_of_text(table_find_string(row, "vhost")));
        json_set(parameter, "component", json_of_text(component));
        json_set(parameter, "name", json_of_text(name));
    }
    add_item(w, is_global ? GLOBAL_PARAMETERS : PARAMETERS, parameter, key);
}

static void add_exchange(struct definitions_writer *w, struct bytes row)
{
    static const char *const columns[] = {"type", "durable", "auto_delete", "internal", NULL};
    static const char *const key[] = {"vhost", "name", NULL};
    if (is_predeclared(table_find_string(row, "name")))
        return;
    json_t *exchange = json_object();
    json_set(exchange, "name", json_of_text(table_find_string(row, "name")));
    set_vhost(w, exchange, row);
    set_columns(exchange, row, columns);
    json_set(exchange, "arguments", column(row, "arguments", json_object()));
    add_item(w, EXCHANGES, exchange, key);
}

static void add_queue(struct definitions_writer *w, struct bytes row)
{
    static const char *const columns[] = {"durable", "auto_delete", NULL};
    static const char *const key[] = {"vhost", "name", NULL};
    struct field exclusive;
    if (table_find(row, BYTES("exclusive"), &exclusive) && exclusive.type == 't' && exclusive.boolean)
        return;
    json_t *queue = json_object();
    json_set(queue, "name", json_of_text(table_find_string(row, "name")));
    set_vhost(w, queue, row);
    set_columns(queue, row, columns);
    json_set(queue, "arguments", column(row, "arguments", json_object()));
    add_item(w, QUEUES, queue, key);
}

static void add_binding(struct definitions_writer *w, struct bytes row)
{
    static const char *const columns[] = {"destination", "destination_type", "routing_key", NULL};
    static const char *const key[] = {"vhost",     "source", "destination_type", "destination", "routing_key",
                                      "arguments", NULL};
    if (table_find_string(row, "source").len == 0)
        return;
    json_t *binding = json_object();
    json_set(binding, "source", json_of_text(table_find_string(row, "source")));
    set_vhost(w, binding, row);
    set_columns(binding, row, columns);
    json_set(binding, "arguments", column(row, "arguments", json_object()));
    add_item(w, BINDINGS, binding, key);
}

static void add_row(struct definitions_writer *w, enum inspection_kind what, struct bytes row)
{
    switch ((int)what) {
    case INSPECT_VHOSTS:
        add_vhost(w, row);
        break;
    case INSPECT_USERS:
        add_user(w, row);
        break;
    case INSPECT_PARAMETERS:
        add_parameter(w, row);
        break;
    case INSPECT_PERMISSIONS:
        add_permission(w, row);
        break;
    case INSPECT_TOPIC_PERMISSIONS:
        add_topic_permission(w, row);
        break;
    case INSPECT_EXCHANGES:
        add_exchange(w, row);
        break;
    case INSPECT_QUEUES:
        add_queue(w, row);
        break;
    default:
        CHECK(what == INSPECT_BINDINGS); /* nothing else is asked for */
        add_binding(w, row);
    }
}

/* ---- Asking. */

struct definitions_writer *definitions_writer_create(const char *version, const char *product,
                                                     const char *product_version, const struct bytes *vhost)
{
    struct definitions_writer *w = alloc_zeroed(sizeof *w);
    w->version = str_copy(bytes_of_string(version));
    w->product = str_copy(bytes_of_string(product));
    w->product_version = str_copy(bytes_of_string(product_version));
    w->has_vhost = vhost != NULL;
    if (vhost != NULL)
        ask_for_vhost(w, *vhost);
    return w;
}

void definitions_writer_destroy(struct definitions_writer *w)
{
    if (w == NULL)
        return;
    for (size_t s = 0; s < SECTIONS; s++) {
        for (size_t i = 0; i < w->items[s].n; i++) {
            free(w->items[s].at[i].key.at);
            json_decref(w->items[s].at[i].object);
        }
        free(w->items[s].at);
    }
    for (size_t i = 0; i < w->n_vhosts; i++)
        free(w->vhosts[i].at);
    free(w->vhosts);
    inspection_destroy(w->page);
    free(w->version);
    free(w->product);
    free(w->product_version);
    free(w);
}

/* The question of that step; NULL: it does not concern the one virtual host. */
static struct inspection *question(const struct definitions_writer *w)
{
    if (w->step < OF_BROKER) {
        enum inspection_kind what = of_broker[w->step];
        if (w->has_vhost && what != INSPECT_PARAMETERS)
            return NULL;
        struct bytes only = w->has_vhost ? key_bytes(&w->vhosts[0]) : (struct bytes){0};
        return inspection_create(what, w->has_vhost ? &only : NULL, NULL);
    }
    size_t i = w->step - OF_BROKER;
    struct bytes vhost = key_bytes(&w->vhosts[i / OF_VHOST]);
    enum inspection_kind what = of_vhost[i % OF_VHOST];
    if (w->has_vhost && (what == INSPECT_PERMISSIONS || what == INSPECT_TOPIC_PERMISSIONS))
        return NULL;
    return inspection_create(what, &vhost, NULL);
}

struct inspection *definitions_want(struct definitions_writer *w)
{
    struct inspection *next = w->page;
    w->page = NULL;
    for (; next == NULL && w->step < OF_BROKER + OF_VHOST * w->n_vhosts; w->step++)
        next = question(w);
    return next;
}

void definitions_take(struct definitions_writer *w, struct inspection *page)
{
    struct bytes row;
    for (size_t at = 0; inspection_next(page, &at, &row);)
        add_row(w, page->what, row);
    if (page->cursor != 0)
        w->page = page;
    else
        inspection_destroy(page);
}

void definitions_skip(struct definitions_writer *w)
{
    inspection_destroy(w->page);
    w->page = NULL;
}

/* ---- The document. */

static json_t *finish_section(struct definitions_writer *w, enum section s)
{
    json_t *array = json_array();
    struct item *at = w->items[s].at;
    size_t n = w->items[s].n;
    if (n > 1)
        qsort(at, n, sizeof *at, compare_items);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || !bytes_equal(key_bytes(&at[i].key), key_bytes(&at[i + 1].key)))
            json_add(array, json_incref(at[i].object));
    return array;
}

json_t *definitions_finish(struct definitions_writer *w)
{
    json_t *document = json_object();
    json_set(document, "rabbit_version", json_of_text(bytes_of_string(w->version)));
    if (!w->has_vhost) {
        json_set(document, "rabbitmq_version", json_of_text(bytes_of_string(w->version)));
        json_set(document, "product_name", json_of_text(bytes_of_string(w->product)));
        json_set(document, "product_version", json_of_text(bytes_of_string(w->product_version)));
    }
    for (enum section s = 0; s < SECTIONS; s++)
        if (!w->has_vhost || sections[s].is_of_vhost)
            json_set(document, sections[s].name, finish_section(w, s));
    definitions_writer_destroy(w);
    return document;
}
