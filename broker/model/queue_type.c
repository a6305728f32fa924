#include "broker/model/queue_type.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/queue.h"
#include "broker/model/resource.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/queue_options.h"
#include "broker/port/spec.h"
#include "codec/table.h"

/* ---- The default type. */

static bool says_type(const struct spec *spec)
{
    struct field f;
    return table_find(spec->arguments, BYTES("x-queue-type"), &f) && f.type == 'S' && f.bytes.len > 0 &&
           !bytes_equal(f.bytes, BYTES("undefined"));
}

static enum queue_type default_type(const struct broker *b, const struct vhost *v)
{
    struct bytes word = table_find_string(v->spec->arguments, "default_queue_type");
    for (unsigned type = 0; queue_type_words[type] != NULL; type++)
        if (bytes_equal(word, bytes_of_string(queue_type_words[type])) ||
            bytes_equal(word, bytes_of_string(queue_type_module((enum queue_type)type)))) /* so RabbitMQ 3.13 exports */
            return (enum queue_type)type;
    return (enum queue_type)b->default_queue_type;
}

/* A stream has none of these: silence would lose data. */
static bool fits_stream(const struct queue_options *o)
{
    return o->message_ttl_ms == SPEC_NONE && o->expires_ms == SPEC_NONE && o->max_length == SPEC_NONE &&
           !o->has_overflow && !o->has_dead_letter_exchange && !o->has_dead_letter_routing_key &&
           o->max_priority == 0 && !o->single_active_consumer && !o->has_delivery_limit && !o->at_least_once &&
           o->consumer_timeout_ms == SPEC_NONE && o->retry_type == RETRY_DISABLED && !o->deduplicates &&
           o->group_header.len == 0;
}

/* A copy whose arguments say the type. */
static struct spec *with_type(const struct spec *spec, enum queue_type type)
{
    struct bytes word = bytes_of_string(queue_type_words[type]);
    enum { KEY_AND_LENGTHS = 32 };
    size_t room = spec->arguments.len + word.len + KEY_AND_LENGTHS;
    uint8_t *arguments = alloc(room);
    struct pen p = pen_over(arguments, room);
    struct spec whole = *spec;
    struct field f;
    for (struct cursor c = cursor_over(spec->arguments); table_next(&c, &f);)
        if (!bytes_equal(f.key, BYTES("x-queue-type")))
            table_put_field(&p, &f);
    table_put_string(&p, BYTES("x-queue-type"), word);
    whole.arguments = pen_written(&p);
    queue_options_of_arguments(whole.arguments, &whole.options);
    struct spec *copy = spec_create(&whole);
    free(arguments);
    return copy;
}

struct spec *queue_type_resolve(const struct broker *b, const struct vhost *v, const struct spec *spec)
{
    enum queue_type type = default_type(b, v);
    bool may_be = spec->durable && !spec->exclusive && !spec->auto_delete && !spec->server_named;
    if (type == QUEUE_CLASSIC || !may_be || says_type(spec) || spec->objection.len > 0)
        return NULL;
    return type == QUEUE_STREAM && !fits_stream(&spec->options) ? NULL : with_type(spec, type);
}

/* ---- Strict types. */

char *queue_type_refuse(const struct broker *b, const struct vhost *v, const struct spec *spec)
{
    enum { C = 1 << QUEUE_CLASSIC, Q = 1 << QUEUE_QUORUM };
    static const struct {
        const char *key;
        unsigned types; /* that have it */
    } keys[] = {
        {"x-dead-letter-strategy", Q}, {"x-max-priority", C},
        {"x-queue-mode", C},           {"x-queue-version", C},
        {"x-queue-master-locator", C}, {"x-delivery-limit", Q},
        {"x-consumer-timeout", Q},     {"x-consumer-disconnected-timeout", Q},
        {"x-delayed-retry-type", Q},   {"x-delayed-retry-min", Q},
        {"x-delayed-retry-max", Q},    {"x-delayed-retry-multiplier", Q},
    };
    struct field f;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && b->strict_queue_types; i++)
        if ((keys[i].types & 1U << spec->options.type) == 0 &&
            table_find(spec->arguments, bytes_of_string(keys[i].key), &f))
            return str_format("invalid arg '%s' for queue '%.*s' in vhost '%.*s' of queue type %s", keys[i].key,
                              BYTES_ARG(spec->name), BYTES_ARG(v->name), queue_type_module(spec->options.type));
    return NULL;
}

/* ---- Declared again. */

char *queue_type_redeclare(const struct broker *b, const struct queue *q, const struct spec *spec)
{
    enum queue_type is = q->spec->options->type;
    struct spec alike = *spec;
    if (b->relaxed_redeclare)
        return NULL;
    if (!says_type(spec) && is != QUEUE_CLASSIC) {
        struct spec *resolved = queue_type_resolve(b, q->vhost, spec);
        if (resolved != NULL)
            alike.options.type = resolved->options.type;
        free(resolved);
    }
    if (b->relaxed_quorum && is == QUEUE_QUORUM && alike.options.type == QUEUE_CLASSIC)
        alike.options.type = QUEUE_QUORUM;
    return queue_differs(q, &alike);
}
