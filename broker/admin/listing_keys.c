#define _GNU_SOURCE
#include "broker/admin/listing_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "base/pattern.h"
#include "codec/table.h"

struct key {
    size_t name;    /* in text */
    uint32_t vhost; /* by number; once they are in order, by rank */
    uint8_t len;
    double number;
};

struct listing_keys {
    bool is_reversed, is_by_name;
    /* What it is sorted by: a column of a brief row; counters; or how fast samples rise. */
    const char *column;
    uint32_t counters;
    uint64_t rate_of;          /* RATES_BIT()s */
    const struct rates *rates; /* borrowed */

    struct bytes *vhosts; /* owned, with what they view */
    size_t n_vhosts, vhosts_capacity;
    struct key *keys; /* owned, and so is what follows */
    size_t n, capacity, total;
    uint8_t *text;
    size_t text_len, text_capacity;
    uint64_t *seen; /* hashes, open addressing; 0: free */
    size_t n_seen, seen_mask;
    unsigned failures;
};

/* ---- What a path means. */

static uint64_t counter_named(const char *name, size_t len)
{
    if (len == sizeof "deliver_get" - 1 && memcmp(name, "deliver_get", len) == 0)
        return RATES_BIT(COUNT_DELIVER) | RATES_BIT(COUNT_DELIVER_NO_ACK) | RATES_BIT(COUNT_GET) |
               RATES_BIT(COUNT_GET_NO_ACK);
    for (unsigned i = 0; i < COUNTERS; i++)
        if (strlen(sample_names[i]) == len && memcmp(sample_names[i], name, len) == 0)
            return RATES_BIT(i);
    return 0;
}

/* "x_details.rate": answers how long x is; 0: it is not that. */
static size_t rate_stem(const char *path)
{
    static const char tail[] = "_details.rate";
    size_t len = strlen(path);
    return len >= sizeof tail && strcmp(path + len - (sizeof tail - 1), tail) == 0 ? len - (sizeof tail - 1) : 0;
}

static bool understand(struct listing_keys *k, const char *sort)
{
    static const char *const columns[] = {"messages", "messages_ready", "messages_unacknowledged", "consumers"};
    static const uint64_t depths[] = {RATES_BIT(RATES_MESSAGES), RATES_BIT(RATES_READY),
                                      RATES_BIT(RATES_UNACKNOWLEDGED)};
    static const char stats[] = "message_stats.";
    size_t stem = rate_stem(sort);
    for (unsigned i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        if (strcmp(sort, columns[i]) == 0)
            k->column = columns[i];
        if (stem == strlen(columns[i]) && memcmp(sort, columns[i], stem) == 0 && i < sizeof depths / sizeof depths[0])
            k->rate_of = depths[i];
    }
    if (strncmp(sort, stats, sizeof stats - 1) == 0) {
        const char *name = sort + sizeof stats - 1;
        stem = rate_stem(name);
        uint64_t counters = counter_named(name, stem > 0 ? stem : strlen(name));
        k->rate_of = stem > 0 ? counters : 0;
        k->counters = stem > 0 ? 0 : (uint32_t)counters;
        k->column = k->counters != 0 ? "count" : NULL;
    }
    k->is_by_name = strcmp(sort, "name") == 0;
    return k->column != NULL || k->rate_of != 0 || k->is_by_name || strcmp(sort, "vhost") == 0;
}

struct listing_keys *listing_keys_create(const char *sort, bool is_reversed, const struct rates *rates)
{
    struct listing_keys *k = alloc_zeroed(sizeof *k);
    k->is_reversed = is_reversed;
    k->rates = rates;
    if (sort == NULL || understand(k, sort))
        return k;
    free(k);
    return NULL;
}

void listing_keys_destroy(struct listing_keys *k)
{
    if (k == NULL)
        return;
    for (size_t i = 0; i < k->n_vhosts; i++)
        free((void *)(uintptr_t)k->vhosts[i].at);
    free(k->vhosts);
    free(k->keys);
    free(k->text);
    free(k->seen);
    free(k);
}

uint32_t listing_keys_counters(const struct listing_keys *k)
{
    return k->counters;
}

size_t listing_keys_total(const struct listing_keys *k)
{
    return k->total;
}

size_t listing_keys_count(const struct listing_keys *k)
{
    return k->n;
}

/* ---- Taking. */

void listing_keys_enter(struct listing_keys *k, struct bytes vhost)
{
    if (k->n_vhosts > 0 && bytes_equal(k->vhosts[k->n_vhosts - 1], vhost))
        return;
    if (k->n_vhosts == k->vhosts_capacity) {
        k->vhosts_capacity = alloc_grown(k->vhosts_capacity, k->n_vhosts + 1);
        k->vhosts = alloc_array(k->vhosts, k->vhosts_capacity, sizeof *k->vhosts);
    }
    k->vhosts[k->n_vhosts++] = bytes_of(vhost.len > 0 ? alloc_copy(vhost.at, vhost.len) : NULL, vhost.len);
}

static bool put_hash(uint64_t *table, size_t mask, uint64_t hash)
{
    size_t i = hash & mask;
    for (; table[i] != 0; i = (i + 1) & mask)
        if (table[i] == hash)
            return false;
    table[i] = hash;
    return true;
}

/* False: it was there before; a queue may be seen twice while its map changes. */
static bool see(struct listing_keys *k, struct bytes name)
{
    enum { SEEN_MIN = 1024 };
    if (2 * k->n_seen >= k->seen_mask) {
        size_t mask = k->seen_mask == 0 ? SEEN_MIN - 1 : 2 * k->seen_mask + 1;
        uint64_t *grown = alloc_zeroed((mask + 1) * sizeof *grown);
        for (size_t i = 0; k->seen_mask > 0 && i <= k->seen_mask; i++)
            if (k->seen[i] != 0)
                put_hash(grown, mask, k->seen[i]);
        free(k->seen);
        k->seen = grown;
        k->seen_mask = mask;
    }
    uint64_t hash = hash_bytes(name, k->n_vhosts) | 1;
    bool is_new = put_hash(k->seen, k->seen_mask, hash);
    k->n_seen += is_new;
    return is_new;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool contains(struct bytes name, const char *filter, size_t len)
{
    for (size_t i = 0; i + len <= name.len; i++) {
        size_t j = 0;
        while (j < len && lower(name.at[i + j]) == lower((uint8_t)filter[j]))
            j++;
        if (j == len)
            return true;
    }
    return false;
}

static double number_in(struct bytes row, const char *column)
{
    struct field f;
    bool has = table_find(row, bytes_of_string(column), &f) && field_is_integer(&f);
    return has ? (double)f.integer : 0;
}

static double number_of(const struct listing_keys *k, struct bytes row, uint64_t now_ms)
{
    if (k->column != NULL)
        return number_in(row, k->column);
    double id = k->rate_of != 0 && k->rates != NULL ? number_in(row, "id") : 0;
    return id > 0 ? rates_of(k->rates, rates_find(k->rates, SAMPLE_QUEUE, (uint64_t)id), k->rate_of, now_ms) : 0;
}

static void add(struct listing_keys *k, struct bytes row, struct bytes name, uint64_t now_ms)
{
    CHECK(name.len <= UINT8_MAX && k->n_vhosts > 0);
    if (k->n == k->capacity) {
        k->capacity = alloc_grown(k->capacity, k->n + 1);
        k->keys = alloc_array(k->keys, k->capacity, sizeof *k->keys);
    }
    if (k->text_capacity - k->text_len < name.len) {
        k->text_capacity = alloc_grown(k->text_capacity, k->text_len + name.len);
        k->text = alloc_array(k->text, k->text_capacity, 1);
    }
    k->keys[k->n++] = (struct key){.name = k->text_len,
                                   .len = (uint8_t)name.len,
                                   .vhost = (uint32_t)k->n_vhosts - 1,
                                   .number = number_of(k, row, now_ms)};
    if (name.len > 0)
        memcpy(k->text + k->text_len, name.at, name.len);
    k->text_len += name.len;
}

bool listing_keys_take(struct listing_keys *k, const struct inspection *page, const char *filter,
                       struct pattern *pattern, uint64_t now_ms)
{
    size_t filter_len = filter != NULL ? strlen(filter) : 0;
    struct bytes row;
    for (size_t at = 0; inspection_next(page, &at, &row);) {
        struct bytes name = table_find_string(row, "name");
        if (!see(k, name))
            continue;
        k->total++;
        if (pattern != NULL) {
            enum pattern_match match = pattern_match(pattern, name);
            k->failures += match == PATTERN_FAILED;
            if (k->failures > LISTING_KEYS_FAILURES_MAX)
                return false;
            if (match != PATTERN_MATCHES)
                continue;
        } else if (!contains(name, filter, filter_len)) {
            continue;
        }
        add(k, row, name, now_ms);
    }
    return true;
}

/* ---- Order. */

static int compare_vhosts(const void *one, const void *two, void *arg)
{
    const struct listing_keys *k = arg;
    return bytes_compare(k->vhosts[*(const uint32_t *)one], k->vhosts[*(const uint32_t *)two]);
}

/* Their numbers become ranks. */
static void rank_vhosts(struct listing_keys *k)
{
    uint32_t *order = alloc_array(NULL, k->n_vhosts + 1, sizeof *order);
    uint32_t *rank = alloc_array(NULL, k->n_vhosts + 1, sizeof *rank);
    struct bytes *sorted = alloc_array(NULL, k->vhosts_capacity + 1, sizeof *sorted);
    for (uint32_t i = 0; i < k->n_vhosts; i++)
        order[i] = i;
    qsort_r(order, k->n_vhosts, sizeof *order, compare_vhosts, k);
    for (uint32_t i = 0; i < k->n_vhosts; i++) {
        rank[order[i]] = i;
        sorted[i] = k->vhosts[order[i]];
    }
    for (size_t i = 0; i < k->n; i++)
        k->keys[i].vhost = rank[k->keys[i].vhost];
    free(k->vhosts);
    k->vhosts = sorted;
    free(order);
    free(rank);
}

static int compare_keys(const void *one, const void *two, void *arg)
{
    const struct listing_keys *k = arg;
    const struct key *a = one, *b = two;
    int by_number = (a->number > b->number) - (a->number < b->number);
    int by_vhost = (a->vhost > b->vhost) - (a->vhost < b->vhost);
    if (by_number != 0)
        return k->is_reversed ? -by_number : by_number;
    int by_name = bytes_compare(bytes_of(k->text + a->name, a->len), bytes_of(k->text + b->name, b->len));
    bool is_vhost_first = by_name == 0 || (by_vhost != 0 && !k->is_by_name);
    int order = is_vhost_first ? by_vhost : by_name;
    return k->is_reversed ? -order : order;
}

struct inspection *listing_keys_page(struct listing_keys *k, size_t from, size_t n)
{
    size_t until = n < k->n - from ? from + n : k->n;
    CHECK(from <= k->n && n <= INSPECTION_NAMES_MAX);
    rank_vhosts(k);
    if (k->n > 0)
        qsort_r(k->keys, k->n, sizeof *k->keys, compare_keys, k);
    struct bytes(*pairs)[2] = alloc_array(NULL, n + 1, sizeof *pairs);
    for (size_t i = from; i < until; i++) {
        pairs[i - from][0] = k->vhosts[k->keys[i].vhost];
        pairs[i - from][1] = bytes_of(k->text + k->keys[i].name, k->keys[i].len);
    }
    struct inspection *page = inspection_create_named((const struct bytes(*)[2])pairs, until - from);
    free(pairs);
    return page;
}
