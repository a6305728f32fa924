#include "tests/tool/stock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "broker/port/definition.h"
#include "broker/port/message.h"
#include "codec/properties.h"

enum { BODY_MAX = 2000, BATCH_RECORDS = 20 };

static const char *const names[STOCK_QUEUES] = {"orders", "caf\xc3\xa9 \"quoted\"\n", "raw \xff\xfe", "rarely"};

/* ---- Randomness that can be had again. */

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void fill_random(void *to, size_t n)
{
    static _Thread_local uint64_t seed = 4711; /* a copy is made on another thread */
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)next_random(&seed);
}

static uint64_t below(struct stock *k, uint64_t limit)
{
    return next_random(&k->seed) % limit;
}

/* ---- Records. */

static void hand_over(struct stock *k, struct sheaf *h)
{
    k->position += h->n;
    h->last = k->position;
    h->wall_ms = k->wall_ms++;
    store_append(k->store, h, NULL, NULL);
}

static void add_definition(struct sheaf *h, enum definition_class what, uint64_t queue, const char *name)
{
    const struct spec spec = {.name = bytes_of_string(name), .durable = true};
    sheaf_add(h, RECORD_DEFINE)->definition = definition_define(what, queue, BYTES("/"), &spec);
}

static struct message *make_message(struct stock *k, uint32_t *sum)
{
    uint8_t body[BODY_MAX], properties[256];
    size_t n = below(k, BODY_MAX);
    struct pen p = pen_over(properties, sizeof properties);
    const struct properties props = {.flags = PROPERTY_content_type | PROPERTY_delivery_mode,
                                     .content_type = BYTES("text/plain"),
                                     .delivery_mode = 2};
    properties_encode(&p, &props);
    for (size_t i = 0; i < n; i++)
        body[i] = (uint8_t)next_random(&k->seed);
    const struct message_spec spec = {.exchange = BYTES("x"),
                                      .routing_key = BYTES("a.b"),
                                      .properties = pen_written(&p),
                                      .body_size = n,
                                      .expiration_ms = MESSAGE_NO_EXPIRATION,
                                      .flags = MESSAGE_PERSISTENT};
    struct message *m = message_create(&spec);
    message_fill(m, bytes_of(body, n));
    *sum = crc32c(0, body, n);
    return m;
}

static void add_place(struct stock *k, struct sheaf *h, unsigned queue, uint32_t sum)
{
    struct stock_queue *q = &k->queues[queue];
    if (q->n == q->room) {
        q->room = alloc_grown(q->room, q->n + 1);
        q->messages = alloc_array(q->messages, q->room, sizeof *q->messages);
    }
    const struct place p = {.queue = queue + 1, .position = q->n, .ttl_ms = PLACE_NO_TTL};
    q->messages[q->n] = (struct stock_message){.position = q->n, .sum = sum};
    q->n++;
    sheaf_place(h, p);
}

static void add_publish(struct stock *k, struct sheaf *h)
{
    unsigned queue = below(k, 50) == 0 ? STOCK_QUEUES - 1 : (unsigned)below(k, STOCK_QUEUES - 1);
    uint32_t sum;
    sheaf_add(h, RECORD_PUBLISH)->msg = make_message(k, &sum);
    add_place(k, h, queue, sum);
    if (below(k, 10) == 0)
        add_place(k, h, (queue + 1) % STOCK_QUEUES, sum);
}

/* Something happens to a message that is there, mostly an old one. */
static void add_fate(struct stock *k, struct sheaf *h)
{
    unsigned queue = (unsigned)below(k, STOCK_QUEUES - 1);
    struct stock_queue *q = &k->queues[queue];
    struct stock_message *m = q->n == 0 ? NULL : &q->messages[below(k, below(k, q->n) + 1)];
    if (m == NULL || m->is_gone)
        return;
    uint64_t what = below(k, 4);
    enum record_kind kind = what == 0 && m->is_out ? RECORD_RETURN : what == 1 ? RECORD_DELIVER : RECORD_SETTLE;
    if (kind == RECORD_DELIVER && m->is_out)
        return;
    sheaf_add(h, kind)->at = (struct place){.queue = queue + 1, .position = m->position};
    m->is_gone = kind == RECORD_SETTLE;
    m->returned += kind == RECORD_RETURN;
    m->is_out = kind == RECORD_DELIVER;
}

static void add_purge(struct stock *k, struct sheaf *h)
{
    unsigned queue = (unsigned)below(k, STOCK_QUEUES - 1);
    struct stock_queue *q = &k->queues[queue];
    uint64_t from = q->n - q->n / 8;
    sheaf_add(h, RECORD_PURGE)->at = (struct place){.queue = queue + 1, .position = from};
    for (uint64_t i = from; i < q->n; i++)
        q->messages[i].is_gone = true;
}

/* ---- The store. */

struct store_config stock_config(struct disk *d)
{
    enum { CHECKPOINT = 300 << 10, CHUNK = 8 << 10 };
    return (struct store_config){.disk = d,
                                 .segment_bytes = STOCK_SEGMENT_BYTES,
                                 .checkpoint_bytes = CHECKPOINT,
                                 .chunk_bytes = CHUNK,
                                 .pack_bytes = STOCK_SEGMENT_BYTES,
                                 .random = fill_random};
}

void stock_open(struct stock *k, const char *folder, uint64_t seed)
{
    int error = 0;
    char *text = NULL;
    *k = (struct stock){.seed = seed, .disk = disk_real_create(folder, &error), .wall_ms = 1700000000000};
    CHECK(k->disk != NULL);
    const struct store_config c = stock_config(k->disk);
    CHECK(store_open(&c, NULL, &k->store, &text) == STORE_FINE);
    struct sheaf h;
    sheaf_init(&h);
    add_definition(&h, DEFINE_VHOST, 0, "/");
    for (unsigned i = 0; i < STOCK_QUEUES; i++) {
        k->queues[i].name = names[i];
        add_definition(&h, DEFINE_QUEUE, i + 1, names[i]);
    }
    hand_over(k, &h);
    stock_write(k);
}

void stock_write(struct stock *k)
{
    bool more;
    struct sync_job job;
    CHECK(store_write(k->store) == STORE_FINE);
    if (store_sync_begin(k->store, &job)) {
        CHECK(sync_job_run(k->disk, &job) == 0);
        store_sync_end(k->store, &job);
    }
    CHECK(store_tend(k->store, STOCK_SEGMENT_BYTES, &more) == STORE_FINE);
}

void stock_fill(struct stock *k, unsigned records)
{
    struct sheaf h;
    sheaf_init(&h);
    for (unsigned i = 0; i < records; i++) {
        uint64_t what = below(k, 1000);
        if (what < 500)
            add_publish(k, &h);
        else if (what < 998)
            add_fate(k, &h);
        else
            add_purge(k, &h);
        if (h.n >= BATCH_RECORDS || i + 1 == records) {
            hand_over(k, &h);
            stock_write(k);
        }
    }
}

void stock_hand_over(struct stock *k, struct sheaf *h)
{
    hand_over(k, h);
}

void stock_close(struct stock *k, bool is_clean)
{
    if (is_clean)
        CHECK(store_close(k->store) == STORE_FINE);
    store_destroy(k->store);
    k->store = NULL;
}

void stock_reopen(struct stock *k)
{
    char *text = NULL;
    const struct store_config c = stock_config(k->disk);
    CHECK(store_open(&c, NULL, &k->store, &text) == STORE_FINE);
    k->position = 0;
    for (unsigned i = 0; i < STOCK_QUEUES; i++)
        for (size_t j = 0; j < k->queues[i].n; j++) { /* what was out has been given back */
            k->queues[i].messages[j].returned += k->queues[i].messages[j].is_out;
            k->queues[i].messages[j].is_out = false;
        }
}

void stock_free(struct stock *k)
{
    store_destroy(k->store);
    disk_real_destroy(k->disk);
    for (unsigned i = 0; i < STOCK_QUEUES; i++)
        free(k->queues[i].messages);
    *k = (struct stock){0};
}

/* ---- Comparing. */

static uint32_t sum_of(const struct message *m)
{
    uint32_t sum = 0;
    struct body_walk walk = message_walk(m);
    for (struct bytes b; (b = body_walk_next(&walk)).len > 0;)
        sum = crc32c(sum, b.at, b.len);
    return sum;
}

static bool is_same(const struct stock_message *m, const struct load_entry *e)
{
    /* What was out has been given back. */
    return !m->is_gone && sum_of(e->msg) == m->sum && e->deliveries == m->returned + m->is_out &&
           (e->redelivered || m->returned + m->is_out == 0); /* after a crash anything may have been out */
}

uint64_t stock_count(const struct stock *k)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < STOCK_QUEUES; i++)
        for (size_t j = 0; j < k->queues[i].n; j++)
            n += !k->queues[i].messages[j].is_gone;
    return n;
}

uint64_t stock_compare(const struct stock *k, struct store *s)
{
    uint64_t same = 0, others = 0;
    for (unsigned i = 0; i < STOCK_QUEUES; i++) {
        const struct stock_queue *q = &k->queues[i];
        for (uint64_t from = 0;;) {
            struct load *l = store_load(s, i + 1, from, 500, 1 << 20);
            bool is_over = l->is_end;
            for (uint32_t j = 0; j < l->n; j++) {
                const struct load_entry *e = &l->entries[j];
                bool is_right = e->position < q->n && is_same(&q->messages[e->position], e);
                same += is_right;
                others += !is_right;
            }
            from = l->next;
            load_destroy(l);
            if (is_over)
                break;
        }
    }
    return stock_count(k) - same + others;
}
