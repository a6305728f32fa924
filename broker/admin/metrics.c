#define _GNU_SOURCE
#include "broker/admin/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/pattern.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/http.h"
#include "broker/admin/json.h"
#include "broker/admin/metrics_facts.h"
#include "broker/admin/metrics_rows.h"
#include "broker/admin/metrics_text.h"
#include "broker/admin/state.h"
#include "broker/admin/visitor.h"
#include "codec/table.h"

const struct metric metrics[] = {
#define METRIC(shape, family, type, name, source, sum, help) {METRIC_##shape, #family, #type, name, source, sum, help},
#include "broker/admin/metrics.def"
#undef METRIC
};

const size_t metrics_count = sizeof metrics / sizeof metrics[0];
enum { METRICS = sizeof metrics / sizeof metrics[0] };

enum registry { AGGREGATED, PER_OBJECT, DETAILED, MEMORY, REGISTRIES };
static const char *const registry_names[REGISTRIES] = {"aggregated", "per-object", "detailed", "memory-breakdown"};

struct metrics {
    enum registry registry;
    bool is_of_objects;
    bool wanted[METRICS];
    struct pattern *queues; /* owned: those that are shown; NULL: all */
    unsigned failures;      /* of the pattern */
    json_t *vhosts;         /* owned: names, to be gone through */
    size_t at_vhost;
    unsigned at_object;                         /* enum metrics_object */
    struct metrics_rows *rows[METRICS_OBJECTS]; /* owned; NULL: not wanted */
    json_t *facts;                              /* owned */
    /* While it is printed: the next metric, and of an object's the next row. */
    size_t metric, row;
    struct admin *admin; /* borrowed: counts scrapes of objects */
};

static const enum inspection_kind kinds[METRICS_OBJECTS] = {
    [METRICS_VHOSTS] = INSPECT_VHOSTS,       [METRICS_QUEUES] = INSPECT_QUEUES,
    [METRICS_EXCHANGES] = INSPECT_EXCHANGES, [METRICS_CONNECTIONS] = INSPECT_CONNECTIONS,
    [METRICS_CHANNELS] = INSPECT_CHANNELS,
};

static void ask(struct request *r);

void metrics_destroy(struct metrics *m)
{
    if (m == NULL)
        return;
    m->admin->scrapes -= m->is_of_objects;
    for (unsigned i = 0; i < METRICS_OBJECTS; i++)
        metrics_rows_destroy(m->rows[i]);
    pattern_destroy(m->queues);
    json_decref(m->vhosts);
    json_decref(m->facts);
    free(m);
}

/* ---- Answering, piece by piece. */

static void begin(struct request *r, enum http_status status, const char *type)
{
    request_set_header(r, "Content-Type", type);
    request_set_header(r, "Cache-Control", "no-cache");
    request_begin_reply(r, status);
}

static void print_some(const struct request *r, struct evbuffer *to)
{
    struct metrics *m = r->metrics;
    bool is_detailed = m->registry == DETAILED;
    while (m->metric < METRICS && evbuffer_get_length(to) < METRICS_CHUNK_BYTES) {
        const struct metric *one = &metrics[m->metric];
        enum metrics_object object = metrics_object_of(one);
        if (m->wanted[m->metric] && (object == METRICS_OBJECTS || m->registry == AGGREGATED)) {
            metrics_text_print(to, one, m->facts, is_detailed);
        } else if (m->wanted[m->metric]) {
            m->row = metrics_rows_print(m->rows[object], m->metric, is_detailed, m->row, to, METRICS_CHUNK_BYTES);
            if (m->row < metrics_rows_count(m->rows[object]))
                return;
            m->row = 0;
        }
        m->metric++;
    }
}

static void go_on(struct request *r)
{
    if (r->metrics->metric == METRICS) {
        request_end_reply(r);
        return;
    }
    struct evbuffer *to = evbuffer_new();
    CHECK(to != NULL);
    print_some(r, to);
    bool is_empty = evbuffer_get_length(to) == 0; /* of which nobody would say that it was written */
    if (!is_empty)
        request_send(r, to, go_on);
    evbuffer_free(to);
    if (is_empty)
        request_end_reply(r);
}

static void print(struct request *r)
{
    struct metrics *m = r->metrics;
    for (unsigned i = 0; i < METRICS_OBJECTS; i++)
        if (m->rows[i] != NULL)
            metrics_rows_sort(m->rows[i]);
    if (r->http == NULL) {
        request_destroy(r);
        return;
    }
    struct evbuffer *to = evbuffer_new();
    CHECK(to != NULL);
    metrics_facts_identify(r, registry_names[m->registry], to);
    if (m->registry == MEMORY)
        metrics_facts_print_memory(r, to);
    begin(r, HTTP_STATUS_OK, "text/plain; version=0.0.4");
    request_send(r, to, go_on);
    evbuffer_free(to);
}

/* ---- Gathering. */

static bool is_chosen(struct metrics *m, struct bytes row)
{
    bool is_queue = m->at_object == METRICS_QUEUES;
    struct bytes vhost = table_find_string(row, m->at_object == METRICS_VHOSTS ? "name" : "vhost");
    if (m->at_object >= METRICS_CONNECTIONS && m->registry == DETAILED) {
        size_t i;
        json_t *one;
        bool has = false;
        json_array_foreach(m->vhosts, i, one) has = has || bytes_equal(json_text(one), vhost);
        if (!has)
            return false;
    }
    if (!is_queue || m->queues == NULL)
        return true;
    enum pattern_match match = pattern_match(m->queues, table_find_string(row, "name"));
    m->failures += match == PATTERN_FAILED;
    return match == PATTERN_MATCHES;
}

static void refuse(struct request *r, enum http_status status, const char *text)
{
    request_fail(r, status, "metrics", "%s", text);
}

/* False: that is too much, and was answered. */
static bool take(struct request *r, const struct inspection *page)
{
    struct metrics *m = r->metrics;
    struct bytes row;
    for (size_t at = 0; inspection_next(page, &at, &row);) {
        if (m->at_object == METRICS_VHOSTS && m->vhosts == NULL)
            continue;
        if (is_chosen(m, row))
            metrics_rows_take(m->rows[m->at_object], row);
    }
    size_t bytes = 0;
    for (unsigned i = 0; i < METRICS_OBJECTS; i++)
        bytes += m->rows[i] != NULL ? metrics_rows_bytes(m->rows[i]) : 0;
    if (m->failures > METRICS_REGEX_FAILURES_MAX)
        refuse(r, HTTP_STATUS_BAD, "the pattern takes too long");
    else if (bytes > METRICS_BYTES_MAX)
        refuse(r, HTTP_STATUS_UNAVAILABLE, "there are too many objects: ask for /metrics/detailed, with families");
    else
        return true;
    return false;
}

static bool is_by_vhost(unsigned object)
{
    return object == METRICS_QUEUES || object == METRICS_EXCHANGES;
}

static void advance(struct request *r)
{
    struct metrics *m = r->metrics;
    if (!is_by_vhost(m->at_object) || ++m->at_vhost >= json_array_size(m->vhosts)) {
        m->at_vhost = 0;
        m->at_object++;
    }
    ask(r);
}

static void on_page(struct request *r, struct event *e)
{
    if (e->what != DONE) { /* a virtual host that has gone meanwhile */
        advance(r);
        return;
    }
    if (!take(r, e->done.inspection))
        return;
    if (e->done.inspection->cursor == 0 || r->http == NULL) {
        advance(r);
        return;
    }
    struct inspection *next = e->done.inspection;
    e->done.inspection = NULL;
    inspection_clear(next);
    request_inspect(r, next, on_page);
}

/* For what comes next of that which is wanted. */
static void ask(struct request *r)
{
    struct metrics *m = r->metrics;
    while (m->at_object < METRICS_OBJECTS &&
           (m->rows[m->at_object] == NULL || (is_by_vhost(m->at_object) && json_array_size(m->vhosts) == 0)))
        m->at_object++;
    if (m->at_object == METRICS_OBJECTS || r->http == NULL) {
        print(r);
        return;
    }
    struct bytes vhost = json_text(json_array_get(m->vhosts, m->at_vhost));
    request_inspect(r, inspection_create(kinds[m->at_object], is_by_vhost(m->at_object) ? &vhost : NULL, NULL),
                    on_page);
}

static void on_vhosts(struct request *r, struct event *e)
{
    struct metrics *m = r->metrics;
    struct bytes row;
    for (size_t at = 0; e->what == DONE && inspection_next(e->done.inspection, &at, &row);)
        json_add(m->vhosts, json_of_text(table_find_string(row, "name")));
    if (e->what != DONE || e->done.inspection->cursor == 0) {
        ask(r);
        return;
    }
    struct inspection *next = e->done.inspection;
    e->done.inspection = NULL;
    inspection_clear(next);
    request_inspect(r, next, on_vhosts);
}

static void on_totals(struct request *r, struct event *e)
{
    struct metrics *m = r->metrics;
    struct bytes row;
    size_t at = 0;
    if (!request_is_done(r, e))
        return;
    bool has = inspection_next(e->done.inspection, &at, &row);
    m->facts = has ? json_of_table(row) : json_object();
    metrics_facts_add(r, m->facts);
    if (!m->is_of_objects)
        print(r);
    else if (json_array_size(m->vhosts) > 0)
        ask(r);
    else
        request_inspect(r, inspection_create(INSPECT_VHOSTS, NULL, NULL), on_vhosts);
}

/* ---- What is asked for. */

static bool has_family(const struct request *r, const char *family)
{
    for (const struct evkeyval *kv = r->query.tqh_first; kv != NULL; kv = kv->next.tqe_next)
        if (strcmp(kv->key, "family") == 0 && strcmp(kv->value, family) == 0)
            return true;
    return false;
}

static bool is_wanted(const struct request *r, enum registry registry, const struct metric *m)
{
    bool is_of_object = metrics_object_of(m) != METRICS_OBJECTS;
    bool is_of_cluster = strncmp(m->name, "rabbitmq_cluster_", sizeof "rabbitmq_cluster_" - 1) == 0;
    switch ((int)registry) {
    case AGGREGATED:
        return !is_of_object || m->sum[0] != '\0';
    case PER_OBJECT:
        return !is_of_cluster;
    case DETAILED:
        return has_family(r, m->family);
    default:
        return false;
    }
}

static bool find_registry(const struct request *r, enum registry *registry)
{
    *registry = request_config(r)->has_metrics_per_object ? PER_OBJECT : AGGREGATED;
    if (r->n_params == 0)
        return true;
    for (*registry = PER_OBJECT; *registry < REGISTRIES; ++*registry)
        if (bytes_equal(r->param[0], bytes_of_string(registry_names[*registry])))
            return true;
    return false;
}

/* False: it was answered. */
static bool read_detailed(struct request *r)
{
    struct metrics *m = r->metrics;
    const char *queues = request_query(r, "queue");
    for (const struct evkeyval *kv = r->query.tqh_first; kv != NULL; kv = kv->next.tqe_next)
        if (strcmp(kv->key, "vhost") == 0)
            json_add(m->vhosts, json_of_text(bytes_of_string(kv->value)));
    if (queues == NULL)
        return true;
    char *error = NULL;
    m->queues = pattern_create(bytes_of_string(queues), &error);
    bool is_fine = m->queues != NULL;
    if (!is_fine)
        refuse(r, HTTP_STATUS_BAD, error);
    free(error);
    return is_fine;
}

static void create(struct request *r, enum registry registry)
{
    struct metrics *m = alloc_zeroed(sizeof *m);
    r->metrics = m;
    m->registry = registry;
    m->admin = r->admin;
    m->vhosts = json_array();
    for (size_t i = 0; i < METRICS; i++)
        m->wanted[i] = is_wanted(r, registry, &metrics[i]);
    if (registry == AGGREGATED)
        return;
    for (size_t i = 0; i < METRICS; i++) {
        enum metrics_object object = metrics_object_of(&metrics[i]);
        if (m->wanted[i] && object != METRICS_OBJECTS && m->rows[object] == NULL) {
            m->rows[object] = metrics_rows_create(object, m->wanted);
            m->is_of_objects = true;
        }
    }
    m->admin->scrapes += m->is_of_objects;
}

void metrics_get(struct request *r)
{
    enum registry registry;
    bool is_known = find_registry(r, &registry);
    if (r->visitor != NULL && (r->visitor->tags & 1U << TAG_MONITORING) == 0) {
        request_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorised", "Not monitor user");
        return;
    }
    create(r, is_known ? registry : MEMORY);
    if (!is_known) {
        begin(r, HTTP_STATUS_NOT_FOUND, "text/plain");
        struct evbuffer *text = evbuffer_new();
        CHECK(text != NULL);
        evbuffer_add(text, "Unknown Registry", sizeof "Unknown Registry" - 1);
        r->metrics->metric = METRICS;
        request_send(r, text, go_on);
        evbuffer_free(text);
    } else if (http_head_of(r->http)->method == EVHTTP_REQ_HEAD) {
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL); /* as RabbitMQ has it */
    } else if (r->metrics->is_of_objects && r->admin->scrapes > METRICS_AT_ONCE) {
        refuse(r, HTTP_STATUS_UNAVAILABLE, "too many scrapes of all objects are under way");
    } else if (registry != DETAILED || read_detailed(r)) {
        request_inspect(r, inspection_create(INSPECT_TOTALS, NULL, NULL), on_totals);
    }
}
