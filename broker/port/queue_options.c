#include "broker/port/queue_options.h"

#include <stddef.h>

#include "codec/table.h"

const char *const overflow_words[] = {"drop-head", "reject-publish", "reject-publish-dlx", NULL};
const char *const queue_type_words[] = {"classic", "quorum", "stream", NULL};
const char *const retry_type_words[] = {"disabled", "all", "failed", "returned", NULL};
const char *const retry_growth_words[] = {"linear", "constant", "exponential", NULL};
const char *const dead_letter_strategy_words[] = {"at-most-once", "at-least-once", NULL};

const struct queue_options queue_options_none = QUEUE_OPTIONS_NONE;

const char *queue_type_module(enum queue_type type)
{
    return type == QUEUE_STREAM   ? "rabbit_stream_queue"
           : type == QUEUE_QUORUM ? "rabbit_quorum_queue"
                                  : "rabbit_classic_queue";
}

/* Numbers, which are kept as they are if they are not negative. */
static const struct {
    const char *key; /* without x- */
    size_t offset;
} numbers[] = {
    {"message-ttl", offsetof(struct queue_options, message_ttl_ms)},
    {"expires", offsetof(struct queue_options, expires_ms)},
    {"max-length", offsetof(struct queue_options, max_length)},
    {"max-length-bytes", offsetof(struct queue_options, max_length_bytes)},
    {"delivery-limit", offsetof(struct queue_options, delivery_limit)},
    {"consumer-timeout", offsetof(struct queue_options, consumer_timeout_ms)},
    {"delayed-retry-min", offsetof(struct queue_options, retry_min_ms)},
    {"delayed-retry-max", offsetof(struct queue_options, retry_max_ms)},
    {"stream-max-segment-size-bytes", offsetof(struct queue_options, segment_bytes)},
    {"cache-size", offsetof(struct queue_options, cache_size)},
    {"cache-ttl", offsetof(struct queue_options, cache_ttl_ms)},
    {"max-publish-rate", offsetof(struct queue_options, publish_rate)},
};

/* Words, each a number of an enum. */
static const struct {
    const char *key;
    const char *const *words;
    size_t offset;
} words[] = {
    {"queue-type", queue_type_words, offsetof(struct queue_options, type)},
    {"delayed-retry-type", retry_type_words, offsetof(struct queue_options, retry_type)},
    {"delayed-retry-multiplier", retry_growth_words, offsetof(struct queue_options, retry_growth)},
};

struct source {
    struct bytes table;
    bool is_policy;
};

static bool find(const struct source *s, const char *key, struct field *f)
{
    char name[64] = "x-";
    size_t at = s->is_policy ? 0 : 2;
    for (; *key != '\0' && at < sizeof name; key++)
        name[at++] = *key;
    return table_find(s->table, bytes_of(name, at), f);
}

/* The index of what it says; false: none of the words. */
static bool find_word(const struct source *s, const char *key, const char *const *among, unsigned *out)
{
    struct field f;
    if (!find(s, key, &f) || f.type != 'S')
        return false;
    for (*out = 0; among[*out] != NULL; ++*out)
        if (bytes_equal(f.bytes, bytes_of_string(among[*out])))
            return true;
    return false;
}

static bool find_text(const struct source *s, const char *key, struct bytes *out)
{
    struct field f;
    bool found = find(s, key, &f) && f.type == 'S';
    if (found)
        *out = f.bytes;
    return found;
}

static bool find_true(const struct source *s, const char *key)
{
    struct field f;
    return find(s, key, &f) && f.type == 't' && f.boolean;
}

bool duration_read(struct bytes text, uint64_t *ms)
{
    static const struct {
        uint8_t unit;
        uint64_t ms;
    } units[] = {{'Y', UINT64_C(31536000000)},
                 {'M', UINT64_C(2592000000)},
                 {'D', 86400000},
                 {'h', 3600000},
                 {'m', 60000},
                 {'s', 1000}};
    uint64_t n = 0;
    if (text.len < 2)
        return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || n > UINT64_MAX / 1000)
            return false;
        n = n * 10 + (text.at[i] - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text.at[text.len - 1] == units[i].unit && n > 0) {
            *ms = n > INT64_MAX / units[i].ms ? INT64_MAX : n * units[i].ms;
            return true;
        }
    }
    return false;
}

static void read_texts(const struct source *s, struct queue_options *o)
{
    struct bytes text;
    o->has_dead_letter_exchange = find_text(s, "dead-letter-exchange", &o->dead_letter_exchange);
    o->has_dead_letter_routing_key =
        find_text(s, "dead-letter-routing-key", &text) && text.len <= ROUTING_KEY_MAX; /* longer ones are refused */
    if (o->has_dead_letter_routing_key)
        o->dead_letter_routing_key = text;
    find_text(s, "deduplication-header", &o->deduplication_header);
    if (!find_text(s, "message-group-header", &o->group_header) && find_true(s, "message-group-header"))
        o->group_header = BYTES("JMSXGroupID");
    if (find_text(s, "max-age", &text))
        duration_read(text, &o->max_age_ms);
}

static void read(const struct source *s, struct queue_options *o)
{
    struct field f;
    unsigned word;
    *o = queue_options_none;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (find(s, numbers[i].key, &f) && field_is_integer(&f) && f.integer >= 0)
            *(uint64_t *)(void *)((uint8_t *)o + numbers[i].offset) = (uint64_t)f.integer;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (find_word(s, words[i].key, words[i].words, &word))
            *((uint8_t *)o + words[i].offset) = (uint8_t)word;
    o->has_overflow = find_word(s, "overflow", overflow_words, &word);
    if (o->has_overflow)
        o->overflow = (enum overflow)word;
    o->has_delivery_limit = find(s, "delivery-limit", &f) && field_is_integer(&f);
    o->at_least_once = find_word(s, "dead-letter-strategy", dead_letter_strategy_words, &word) && word == 1;
    if (!s->is_policy && find(s, "max-priority", &f) && field_is_integer(&f) && f.integer >= 0 && f.integer <= 255)
        o->max_priority = (uint8_t)f.integer;
    o->single_active_consumer = !s->is_policy && find_true(s, "single-active-consumer");
    o->deduplicates = find_true(s, "message-deduplication");
    read_texts(s, o);
}

void queue_options_of_arguments(struct bytes arguments, struct queue_options *out)
{
    read(&(struct source){.table = arguments}, out);
}

void queue_options_of_policy(struct bytes definition, struct queue_options *out)
{
    read(&(struct source){.table = definition, .is_policy = true}, out);
}
