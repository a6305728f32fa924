#include "amqp/options.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/str.h"
#include "codec/table.h"

enum { NOT_KEPT = 0 }; /* offset of an option that the model has no field for */

/* What a value must be. */
enum rule {
    INTEGER,  /* low … high */
    PRIORITY, /* the same, with another word for too large */
    VERSION,  /* 1 or 2 */
    WORD,     /* one of the words */
    BOOLEAN,
    NEEDS_DEAD_LETTER_EXCHANGE, /* a text, and that argument too */
    FOREIGN,                    /* belongs to another type of queue */
};

struct option {
    const char *key;
    enum rule rule;
    int64_t low, high;
    const char *const *words; /* ends in NULL; another one … */
    const char *wrong;        /* … is answered so; NULL: "unsupported queue type 'foo'" */
    size_t offset;            /* of the uint64_t in struct queue_options, plus one; NOT_KEPT */
};

#define KEEP(field) (offsetof(struct queue_options, field) + 1)

static const char *const types[] = {"classic", "undefined", "", NULL};
static const char *const strategies[] = {"at-most-once", "at-least-once", NULL};
static const char *const overflows[] = {"drop-head", "reject-publish", "reject-publish-dlx", NULL}; /* enum overflow */
static const char *const locators[] = {"client-local", "balanced", "random", "least-leaders", NULL};
static const char *const retries[] = {"disabled", "all", "failed", "returned", NULL};

/* In the order that they are checked.  Those of other queue types come last: only what means nothing here, and whose
 * silence would lose data, is refused (queue-features 0.3-a). */
static const struct option queue_table[] = {
    {.key = "x-queue-type", .rule = WORD, .words = types},
    {.key = "x-expires", .rule = INTEGER, .low = 1, .high = OPTIONS_EXPIRY_MAX_MS, .offset = KEEP(expires_ms)},
    {.key = "x-message-ttl", .rule = INTEGER, .high = OPTIONS_EXPIRY_MAX_MS, .offset = KEEP(message_ttl_ms)},
    {.key = "x-dead-letter-routing-key", .rule = NEEDS_DEAD_LETTER_EXCHANGE},
    {.key = "x-dead-letter-strategy", .rule = WORD, .words = strategies, .wrong = "invalid_dlx_strategy"},
    {.key = "x-max-length", .rule = INTEGER, .high = INT64_MAX, .offset = KEEP(max_length)},
    {.key = "x-max-length-bytes", .rule = INTEGER, .high = INT64_MAX, .offset = KEEP(max_length_bytes)},
    {.key = "x-max-priority", .rule = PRIORITY, .high = OPTIONS_PRIORITY_MAX},
    {.key = "x-overflow", .rule = WORD, .words = overflows, .wrong = "invalid_overflow"},
    {.key = "x-queue-version", .rule = VERSION, .low = 1, .high = 2},
    {.key = "x-single-active-consumer", .rule = BOOLEAN},
    {.key = "x-queue-leader-locator", .rule = WORD, .words = locators, .wrong = "invalid_queue_locator_arg"},
    {.key = "x-delivery-limit", .rule = INTEGER, .low = INT64_MIN, .high = INT64_MAX},
    {.key = "x-consumer-timeout", .rule = INTEGER, .high = INT64_MAX},
    {.key = "x-delayed-retry-type", .rule = WORD, .words = retries, .wrong = "invalid_delayed_retry_type"},
    {.key = "x-delayed-retry-min", .rule = INTEGER, .high = OPTIONS_EXPIRY_MAX_MS},
    {.key = "x-delayed-retry-max", .rule = INTEGER, .high = OPTIONS_EXPIRY_MAX_MS},
    {.key = "x-quorum-initial-group-size", .rule = FOREIGN},
    {.key = "x-initial-cluster-size", .rule = FOREIGN},
    {.key = "x-max-in-memory-length", .rule = FOREIGN},
    {.key = "x-max-in-memory-bytes", .rule = FOREIGN},
    {.key = "x-max-age", .rule = FOREIGN},
    {.key = "x-stream-max-segment-size-bytes", .rule = FOREIGN},
    {.key = "x-stream-filter-size-bytes", .rule = FOREIGN},
};

static const struct option consumer_table[] = {
    {.key = "x-priority", .rule = INTEGER, .low = INT64_MIN, .high = INT64_MAX},
    {.key = "x-consumer-timeout", .rule = INTEGER, .high = INT64_MAX},
    {.key = "x-stream-offset", .rule = FOREIGN},
    {.key = "x-stream-filter", .rule = FOREIGN},
    {.key = "x-stream-match-unfiltered", .rule = FOREIGN},
};

/* --- what may be wrong ---------------------------------------------------------------------------------------------
 */

static char *check_integer(const struct option *o, const struct field *f)
{
    long long v = (long long)f->integer;
    if (!field_is_integer(f))
        return str_format("\"expected integer, got %s\"", field_type_name(f->type));
    if (o->rule == VERSION && (v < o->low || v > o->high))
        return str_format("\"unsupported queue version '%lld'\"", v);
    if (v < o->low && v < 0)
        return str_format("{value_negative,%lld}", v);
    if (v < o->low)
        return str_copy(BYTES("{value_zero,0}"));
    if (v > o->high)
        return str_format(o->rule == PRIORITY ? "{max_value_exceeded,%lld}" : "{value_too_large,%lld}", v);
    return NULL;
}

static char *check_type(const struct field *f, char type)
{
    return f->type == type ? NULL : str_format("{unacceptable_type,%s}", field_type_name(f->type));
}

static bool is_among(struct bytes word, const char *const *words)
{
    while (*words != NULL && !bytes_equal(word, bytes_of_string(*words)))
        words++;
    return *words != NULL;
}

static char *check_word(const struct option *o, const struct field *f)
{
    char *wrong = check_type(f, 'S');
    if (wrong != NULL || is_among(f->bytes, o->words))
        return wrong;
    if (o->wrong != NULL)
        return str_copy(bytes_of_string(o->wrong));
    return str_format("\"unsupported queue type '%.*s'\"", BYTES_ARG(f->bytes));
}

/* What is wrong with one value; NULL: nothing. */
static char *check(const struct option *o, const struct field *f, struct bytes arguments)
{
    struct field exchange;
    switch (o->rule) {
    case INTEGER:
    case PRIORITY:
    case VERSION:
        return check_integer(o, f);
    case WORD:
        return check_word(o, f);
    case BOOLEAN:
        return check_type(f, 't');
    case NEEDS_DEAD_LETTER_EXCHANGE:
        if (f->type == 'S' && !table_find(arguments, BYTES("x-dead-letter-exchange"), &exchange))
            return str_copy(BYTES("routing_key_but_no_dlx_defined"));
        return check_type(f, 'S');
    case FOREIGN:
        break;
    }
    return NULL;
}

/* --- reading -------------------------------------------------------------------------------------------------------
 */

static bool has_too_many(struct bytes arguments)
{
    struct cursor c = cursor_over(arguments);
    struct field f;
    unsigned n = 0;
    while (n <= SPEC_ARGUMENTS_MAX && table_next(&c, &f))
        n++;
    return n > SPEC_ARGUMENTS_MAX;
}

struct error *options_check_count(struct bytes arguments)
{
    if (!has_too_many(arguments))
        return NULL;
    return error_create(AMQP_PRECONDITION_FAILED, "more than %d arguments", SPEC_ARGUMENTS_MAX);
}

/* Checks the arguments that a table knows, and keeps the numbers.  NULL, or what is wrong. */
static char *read_table(const struct option *table, size_t n, struct spec *spec, struct bytes vhost)
{
    struct field f;
    for (const struct option *o = table; o < table + n; o++) {
        if (!table_find(spec->arguments, bytes_of_string(o->key), &f))
            continue;
        if (o->rule == FOREIGN)
            return str_format("invalid arg '%s' for queue '%.*s' in vhost '%.*s' of queue type rabbit_classic_queue",
                              o->key, BYTES_ARG(spec->name), BYTES_ARG(vhost));
        char *why = check(o, &f, spec->arguments);
        if (why != NULL) {
            char *text = str_format("invalid arg '%s' for queue '%.*s' in vhost '%.*s': %s", o->key,
                                    BYTES_ARG(spec->name), BYTES_ARG(vhost), why);
            free(why);
            return text;
        }
        if (o->offset != NOT_KEPT)
            *(uint64_t *)(void *)((uint8_t *)&spec->options + o->offset - 1) = (uint64_t)f.integer;
    }
    return NULL;
}

static void keep_words(struct spec *spec)
{
    struct field f;
    struct queue_options *o = &spec->options;
    if (table_find(spec->arguments, BYTES("x-overflow"), &f))
        while (!bytes_equal(f.bytes, bytes_of_string(overflows[o->overflow])))
            o->overflow++;
    o->has_dead_letter_exchange = table_find(spec->arguments, BYTES("x-dead-letter-exchange"), &f);
    if (o->has_dead_letter_exchange)
        o->dead_letter_exchange = f.bytes;
    o->has_dead_letter_routing_key = table_find(spec->arguments, BYTES("x-dead-letter-routing-key"), &f);
    if (o->has_dead_letter_routing_key)
        o->dead_letter_routing_key = f.bytes;
}

char *options_read_queue(struct spec *spec, struct bytes vhost)
{
    struct field f;
    spec->options = (struct queue_options){
        .message_ttl_ms = SPEC_NONE,
        .expires_ms = SPEC_NONE,
        .max_length = SPEC_NONE,
        .max_length_bytes = SPEC_NONE,
    };
    if (has_too_many(spec->arguments))
        return str_format("more than %d arguments", SPEC_ARGUMENTS_MAX);
    if (table_find(spec->arguments, BYTES("x-dead-letter-exchange"), &f) && f.type != 'S')
        return str_format("invalid type '%s' for arg 'x-dead-letter-exchange' in queue '%.*s' in vhost '%.*s'",
                          field_type_name(f.type), BYTES_ARG(spec->name), BYTES_ARG(vhost));
    char *wrong = read_table(queue_table, sizeof queue_table / sizeof queue_table[0], spec, vhost);
    if (wrong == NULL)
        keep_words(spec);
    return wrong;
}

char *options_read_consumer(struct spec *spec, struct bytes vhost)
{
    struct field f;
    if (has_too_many(spec->arguments))
        return str_format("more than %d arguments", SPEC_ARGUMENTS_MAX);
    char *wrong = read_table(consumer_table, sizeof consumer_table / sizeof consumer_table[0], spec, vhost);
    if (wrong == NULL && table_find(spec->arguments, BYTES("x-priority"), &f))
        spec->priority = f.integer;
    return wrong;
}
