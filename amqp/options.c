#include "amqp/options.h"

#include <stdlib.h>

#include "base/str.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

/* What a value must be. */
enum rule {
    INTEGER,  /* low … high */
    PRIORITY, /* the same, with another word for too large */
    RANGE,    /* the same, and too small or too large are answered with `wrong` */
    VERSION,  /* 1 or 2 */
    WORD,     /* one of the words */
    BOOLEAN,
    TEXT,
    TEXT_OR_TRUE,
    DURATION,                   /* "7D" */
    NEEDS_DEAD_LETTER_EXCHANGE, /* a text that can be a routing key, and that argument too */
};

/* Of which types of queue it is. */
enum { C = 1 << QUEUE_CLASSIC, Q = 1 << QUEUE_QUORUM, S = 1 << QUEUE_STREAM };

struct option {
    const char *key;
    enum rule rule;
    uint8_t types;
    int64_t low, high;
    const char *const *words; /* ends in NULL; another one … */
    const char *wrong;        /* … is answered so; NULL: "unsupported queue type 'foo'" */
};

static const char *const types[] = {"classic", "quorum", "stream", "undefined", "", NULL};
static const char *const locators[] = {"client-local", "balanced", "random", "least-leaders", NULL};

/* In the order that they are checked: first the values of those that this type of queue has, then that there are no
 * others, whatever their values are.  What means nothing there, and whose silence would lose data, is refused
 * (queue-features 0.3-a). */
static const struct option queue_table[] = {
    {.key = "x-queue-type", .rule = WORD, .types = C | Q | S, .words = types},
    {.key = "x-expires", .rule = INTEGER, .types = C | Q, .low = 1, .high = OPTIONS_EXPIRY_MAX_MS},
    {.key = "x-message-ttl", .rule = INTEGER, .types = C | Q, .high = OPTIONS_EXPIRY_MAX_MS},
    {.key = "x-dead-letter-exchange", .rule = TEXT, .types = C | Q},
    {.key = "x-dead-letter-routing-key", .rule = NEEDS_DEAD_LETTER_EXCHANGE, .types = C | Q},
    {.key = "x-dead-letter-strategy",
     .rule = WORD,
     .types = C | Q,
     .words = dead_letter_strategy_words,
     .wrong = "invalid_dlx_strategy"},
    {.key = "x-max-length", .rule = INTEGER, .types = C | Q, .high = INT64_MAX},
    {.key = "x-max-length-bytes", .rule = INTEGER, .types = C | Q | S, .high = INT64_MAX},
    {.key = "x-max-priority", .rule = PRIORITY, .types = C | Q, .high = OPTIONS_PRIORITY_MAX},
    {.key = "x-overflow", .rule = WORD, .types = C | Q, .words = overflow_words, .wrong = "invalid_overflow"},
    {.key = "x-queue-version", .rule = VERSION, .types = C | Q, .low = 1, .high = 2},
    {.key = "x-single-active-consumer", .rule = BOOLEAN, .types = C | Q},
    {.key = "x-queue-leader-locator",
     .rule = WORD,
     .types = C | Q | S,
     .words = locators,
     .wrong = "invalid_queue_locator_arg"},
    {.key = "x-delivery-limit", .rule = INTEGER, .types = C | Q, .low = INT64_MIN, .high = INT64_MAX},
    {.key = "x-consumer-timeout", .rule = INTEGER, .types = C | Q, .high = INT64_MAX},
    {.key = "x-delayed-retry-type",
     .rule = WORD,
     .types = C | Q,
     .words = retry_type_words,
     .wrong = "invalid_delayed_retry_type"},
    {.key = "x-delayed-retry-min", .rule = INTEGER, .types = C | Q, .high = OPTIONS_EXPIRY_MAX_MS},
    {.key = "x-delayed-retry-max", .rule = INTEGER, .types = C | Q, .high = OPTIONS_EXPIRY_MAX_MS},
    {.key = "x-delayed-retry-multiplier",
     .rule = WORD,
     .types = C | Q,
     .words = retry_growth_words,
     .wrong = "invalid_delayed_retry_multiplier"},
    {.key = "x-message-deduplication", .rule = BOOLEAN, .types = C | Q},
    {.key = "x-deduplication-header", .rule = TEXT, .types = C | Q},
    {.key = "x-cache-size", .rule = INTEGER, .types = C | Q, .low = 1, .high = INT64_MAX},
    {.key = "x-cache-ttl", .rule = INTEGER, .types = C | Q, .high = OPTIONS_EXPIRY_MAX_MS},
    {.key = "x-message-group-header", .rule = TEXT_OR_TRUE, .types = C | Q},
    {.key = "x-max-publish-rate", .rule = INTEGER, .types = C | Q | S, .high = INT64_MAX},
    {.key = "x-quorum-initial-group-size", .rule = INTEGER, .types = Q, .low = 1, .high = INT64_MAX},
    {.key = "x-initial-cluster-size", .rule = INTEGER, .types = S, .low = 1, .high = INT64_MAX},
    {.key = "x-max-in-memory-length", .rule = INTEGER, .types = Q, .high = INT64_MAX},
    {.key = "x-max-in-memory-bytes", .rule = INTEGER, .types = Q, .high = INT64_MAX},
    {.key = "x-max-age", .rule = DURATION, .types = S},
    {.key = "x-stream-max-segment-size-bytes",
     .rule = RANGE,
     .types = S,
     .high = OPTIONS_SEGMENT_MAX,
     .wrong = "Exceeded max value for x-stream-max-segment-size-bytes"},
    {.key = "x-stream-filter-size-bytes",
     .rule = RANGE,
     .types = S,
     .low = 16,
     .high = 255,
     .wrong = "Invalid value for x-stream-filter-size-bytes"},
};

/* Of which type of queue they are, the model finds out: the session does not know what the queue is. */
static const struct option consumer_table[] = {
    {.key = "x-priority", .rule = INTEGER, .low = INT64_MIN, .high = INT64_MAX},
    {.key = "x-consumer-timeout", .rule = INTEGER, .high = INT64_MAX},
    {.key = "x-stream-match-unfiltered", .rule = BOOLEAN},
};

/* ---- What may be wrong. */

static char *check_integer(const struct option *o, const struct field *f)
{
    long long v = (long long)f->integer;
    if (!field_is_integer(f))
        return str_format("\"expected integer, got %s\"", field_type_name(f->type));
    if (o->rule == VERSION && v >= 0 && (v < o->low || v > o->high))
        return str_format("\"unsupported queue version '%lld'\"", v);
    if (o->rule == RANGE && v >= 0 && (v < o->low || v > o->high))
        return str_copy(bytes_of_string(o->wrong));
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

static char *check_duration(const struct field *f)
{
    uint64_t ms;
    char *wrong = check_type(f, 'S');
    if (wrong == NULL && !duration_read(f->bytes, &ms))
        wrong = str_copy(BYTES("invalid_max_age"));
    return wrong;
}

/* What is wrong with one value; NULL: nothing. */
static char *check(const struct option *o, const struct field *f, struct bytes arguments)
{
    struct field exchange;
    switch (o->rule) {
    case INTEGER:
    case PRIORITY:
    case RANGE:
    case VERSION:
        return check_integer(o, f);
    case WORD:
        return check_word(o, f);
    case BOOLEAN:
        return check_type(f, 't');
    case TEXT:
        return check_type(f, 'S');
    case TEXT_OR_TRUE:
        return f->type == 't' ? NULL : check_type(f, 'S');
    case DURATION:
        return check_duration(f);
    case NEEDS_DEAD_LETTER_EXCHANGE:
        if (f->type == 'S' && !table_find(arguments, BYTES("x-dead-letter-exchange"), &exchange))
            return str_copy(BYTES("routing_key_but_no_dlx_defined"));
        if (f->type == 'S' && f->bytes.len > ROUTING_KEY_MAX)
            return str_copy(BYTES("routing_key_too_long"));
        return check_type(f, 'S');
    }
    return NULL;
}

/* ---- Reading. */

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

static bool is_of(const struct option *o, const struct spec *spec)
{
    return o->types == 0 || (o->types & 1 << spec->options.type) != 0;
}

/* Checks the values of the arguments that a table knows for this type of queue.  NULL, or what is wrong. */
static char *check_values(const struct option *table, size_t n, const struct spec *spec, struct bytes vhost)
{
    struct field f;
    for (const struct option *o = table; o < table + n; o++) {
        char *why = is_of(o, spec) && table_find(spec->arguments, bytes_of_string(o->key), &f)
                        ? check(o, &f, spec->arguments)
                        : NULL;
        if (why == NULL)
            continue;
        char *text = o->rule == RANGE && field_is_integer(&f) && f.integer >= 0
                         ? str_copy(bytes_of_string(why))
                         : str_format("invalid arg '%s' for queue '%.*s' in vhost '%.*s': %s", o->key,
                                      BYTES_ARG(spec->name), BYTES_ARG(vhost), why);
        free(why);
        return text;
    }
    return NULL;
}

/* NULL, or which argument a queue of this type does not have. */
static char *check_types(const struct spec *spec, struct bytes vhost)
{
    struct field f;
    for (size_t i = 0; i < sizeof queue_table / sizeof queue_table[0]; i++)
        if (!is_of(&queue_table[i], spec) && table_find(spec->arguments, bytes_of_string(queue_table[i].key), &f))
            return str_format("invalid arg '%s' for queue '%.*s' in vhost '%.*s' of queue type %s", queue_table[i].key,
                              BYTES_ARG(spec->name), BYTES_ARG(vhost), queue_type_module(spec->options.type));
    return NULL;
}

/* What is replicated in RabbitMQ is durable, shared, and has a name. */
static char *check_properties(const struct spec *spec, struct bytes vhost)
{
    const char *wrong = spec->auto_delete ? "auto-delete"
                        : spec->exclusive ? "exclusive-owner"
                        : !spec->durable  ? "non-durable"
                                          : NULL;
    if (spec->options.type == QUEUE_CLASSIC)
        return NULL;
    if (bytes_start_with(spec->name, BYTES("amq.gen-")))
        return str_format("Cannot declare a server-named queue for type %s", queue_type_module(spec->options.type));
    if (wrong == NULL)
        return NULL;
    return str_format("invalid property '%s' for queue '%.*s' in vhost '%.*s'", wrong, BYTES_ARG(spec->name),
                      BYTES_ARG(vhost));
}

char *options_read_queue(struct spec *spec, struct bytes vhost)
{
    struct field f;
    spec->options = queue_options_none;
    if (has_too_many(spec->arguments))
        return str_format("more than %d arguments", SPEC_ARGUMENTS_MAX);
    if (table_find(spec->arguments, BYTES("x-dead-letter-exchange"), &f) && f.type != 'S')
        return str_format("invalid type '%s' for arg 'x-dead-letter-exchange' in queue '%.*s' in vhost '%.*s'",
                          field_type_name(f.type), BYTES_ARG(spec->name), BYTES_ARG(vhost));
    queue_options_of_arguments(spec->arguments, &spec->options); /* also of wrong ones, for the type */
    char *wrong = check_values(queue_table, sizeof queue_table / sizeof queue_table[0], spec, vhost);
    if (wrong != NULL)
        return wrong;
    wrong = check_types(spec, vhost);
    return wrong != NULL ? wrong : check_properties(spec, vhost);
}

char *options_read_consumer(struct spec *spec, struct bytes vhost)
{
    struct field f;
    if (has_too_many(spec->arguments))
        return str_format("more than %d arguments", SPEC_ARGUMENTS_MAX);
    char *wrong = check_values(consumer_table, sizeof consumer_table / sizeof consumer_table[0], spec, vhost);
    if (wrong == NULL && table_find(spec->arguments, BYTES("x-priority"), &f))
        spec->priority = f.integer;
    spec->options.consumer_timeout_ms = SPEC_NONE;
    if (wrong == NULL && table_find(spec->arguments, BYTES("x-consumer-timeout"), &f))
        spec->options.consumer_timeout_ms = (uint64_t)f.integer;
    return wrong;
}
