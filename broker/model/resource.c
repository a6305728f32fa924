#include "broker/model/resource.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "broker/model/exchange.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/queue_options.h"
#include "broker/port/spec.h"
#include "codec/table.h"

enum { VALUE_TEXT_MAX = 128 };

void resource_fail(struct broker *b, struct command *c, struct spec *spec, enum reason reason, char *text)
{
    broker_fail(b, c, reason, text);
    free(spec);
}

struct queue *resource_any_queue(struct broker *b, struct command *c, struct stream *s, struct spec *spec)
{
    struct vhost *v = s->outlet->vhost;
    struct queue *q = vhost_find_queue(b, v, spec->name);
    if (q == NULL)
        resource_fail(b, c, spec, NO_SUCH_QUEUE,
                      str_format("no queue '%.*s' in vhost '%.*s'", BYTES_ARG(spec->name), BYTES_ARG(v->name)));
    return q;
}

bool resource_unlocked(struct broker *b, struct command *c, struct stream *s, struct spec *spec, struct queue *q)
{
    if (q->owner == NULL || q->owner == s->outlet)
        return true;
    char *name = queue_describe(q);
    resource_fail(b, c, spec, LOCKED,
                  str_format("cannot obtain exclusive access to locked %s. It could be originally declared on another "
                             "connection or the exclusive property value does not match that of the original "
                             "declaration.",
                             name));
    free(name);
    return false;
}

struct queue *resource_queue(struct broker *b, struct command *c, struct stream *s, struct spec *spec)
{
    struct queue *q = resource_any_queue(b, c, s, spec);
    return q != NULL && resource_unlocked(b, c, s, spec, q) ? q : NULL;
}

char *resource_refuse_queue(const struct vhost *v, struct bytes name)
{
    if (v->queues.count < v->queues_max)
        return NULL;
    return str_format("cannot declare queue '%.*s': queue limit in vhost '%.*s' (%" PRIu64 ") is reached",
                      BYTES_ARG(name), BYTES_ARG(v->name), v->queues_max);
}

char *resource_refuse_exchange(const struct vhost *v, struct bytes name)
{
    if (v->exchanges_max == LIMIT_NONE || v->exchanges.count < v->exchanges_max + VHOST_PREDECLARED)
        return NULL;
    return str_format("cannot declare exchange '%.*s': exchange limit in vhost '%.*s' (%" PRIu64 ") is reached",
                      BYTES_ARG(name), BYTES_ARG(v->name), v->exchanges_max);
}

char *resource_refuse_alternate(const struct vhost *v, const struct spec *spec)
{
    struct field f;
    if (!table_find(spec->arguments, BYTES("alternate-exchange"), &f) || f.type == 'S')
        return NULL;
    return str_format("invalid type '%s' for arg 'alternate-exchange' in exchange '%.*s' in vhost '%.*s'",
                      field_type_name(f.type), BYTES_ARG(spec->name), BYTES_ARG(v->name));
}

char *resource_refuse_binding(const struct vhost *v)
{
    if (v->bindings.count < v->bindings_max)
        return NULL;
    return str_format("cannot bind: binding limit in vhost '%.*s' (%" PRIu64 ") is reached", BYTES_ARG(v->name),
                      v->bindings_max);
}

/* ---- Redeclaration. */

static const char *word(bool b)
{
    return b ? "true" : "false";
}

static char *flag_differs(const char *flag, const char *resource, bool wanted, bool is)
{
    return wanted == is ? NULL
                        : str_format("inequivalent arg '%s' for %s: received '%s' but current is '%s'", flag, resource,
                                     word(wanted), word(is));
}

static char *argument_text(const struct field *f, bool there, bool with_type)
{
    char value[VALUE_TEXT_MAX];
    if (!there)
        return str_copy(BYTES("none"));
    field_print(f, value, sizeof value);
    return with_type ? str_format("the value '%s' of type '%s'", value, field_type_name(f->type))
                     : str_format("'%s'", value);
}

static char *argument_differs(const char *key, const char *resource, struct bytes wanted, struct bytes is)
{
    struct field a, b;
    bool has_a = table_find(wanted, bytes_of_string(key), &a), has_b = table_find(is, bytes_of_string(key), &b);
    if ((!has_a && !has_b) || (has_a && has_b && field_equal_value(&a, &b)))
        return NULL;
    bool both = has_a && has_b;
    char *received = argument_text(&a, has_a, !both), *current = argument_text(&b, has_b, !both);
    char *text =
        str_format("inequivalent arg '%s' for %s: received %s but current is %s", key, resource, received, current);
    free(received);
    free(current);
    return text;
}

/* Of which types of queue an argument is. */
enum { C = 1 << QUEUE_CLASSIC, Q = 1 << QUEUE_QUORUM, S = 1 << QUEUE_STREAM };

/* The arguments that count on a redeclaration, in the order they are compared; the type comes before them.  One that
 * means nothing to a queue of its type may be said or left out there (reference queue-features 0.4). */
static const struct {
    const char *key;
    uint8_t types;
} compared[] = {
    {"x-expires", C | Q},
    {"x-message-ttl", C | Q},
    {"x-dead-letter-exchange", C | Q},
    {"x-dead-letter-routing-key", C | Q},
    {"x-dead-letter-strategy", C | Q},
    {"x-max-length", C | Q},
    {"x-max-length-bytes", C | Q | S},
    {"x-max-priority", C | Q},
    {"x-overflow", C | Q},
    {"x-queue-mode", C},
    {"x-queue-version", C},
    {"x-single-active-consumer", C | Q},
    {"x-delivery-limit", C | Q},
    {"x-consumer-timeout", C | Q},
    {"x-delayed-retry-type", C | Q},
    {"x-delayed-retry-min", C | Q},
    {"x-delayed-retry-max", C | Q},
    {"x-quorum-initial-group-size", Q},
    {"x-initial-cluster-size", S},
    {"x-max-in-memory-length", Q},
    {"x-max-in-memory-bytes", Q},
    {"x-max-age", S},
    {"x-stream-max-segment-size-bytes", S},
    {"x-stream-filter-size-bytes", S},
    {"x-queue-master-locator", C},
};

/* Not to say the type is to say classic. */
static char *type_differs(const char *resource, enum queue_type wanted, enum queue_type is)
{
    return wanted == is ? NULL
                        : str_format("inequivalent arg 'x-queue-type' for %s: received '%s' but current is '%s'",
                                     resource, queue_type_words[wanted], queue_type_words[is]);
}

/* A type that there is not is none of a queue that is there; which type it has is compared before (type_differs()). */
static bool has_unknown_type(struct bytes arguments)
{
    struct field f;
    if (!table_find(arguments, BYTES("x-queue-type"), &f))
        return false;
    bool is_known = f.type == 'S' && (f.bytes.len == 0 || bytes_equal(f.bytes, BYTES("undefined")));
    for (size_t i = 0; f.type == 'S' && queue_type_words[i] != NULL; i++)
        is_known |= bytes_equal(f.bytes, bytes_of_string(queue_type_words[i]));
    return !is_known;
}

char *queue_differs(const struct queue *q, const struct spec *spec)
{
    char *name = queue_describe(q);
    char *text = NULL;
    if (!spec->exclusive)
        text = flag_differs("durable", name, spec->durable, q->spec->durable);
    if (text == NULL)
        text = flag_differs("auto_delete", name, spec->auto_delete, q->spec->auto_delete);
    if (text == NULL)
        text = type_differs(name, spec->options.type, q->options->type);
    for (size_t i = 0; text == NULL && i < sizeof compared / sizeof compared[0]; i++)
        if ((compared[i].types & 1 << q->options->type) != 0)
            text = argument_differs(compared[i].key, name, spec->arguments, q->spec->arguments);
    if (text == NULL && has_unknown_type(spec->arguments))
        text = argument_differs("x-queue-type", name, spec->arguments, q->spec->arguments);
    free(name);
    return text;
}

char *exchange_differs(const struct exchange *x, const struct spec *spec)
{
    char *name = exchange_describe(x);
    char *text = NULL;
    if (!bytes_equal(spec->type, x->spec->type))
        text = str_format("inequivalent arg 'type' for %s: received '%.*s' but current is '%.*s'", name,
                          BYTES_ARG(spec->type), BYTES_ARG(x->spec->type));
    if (text == NULL)
        text = flag_differs("durable", name, spec->durable, x->spec->durable);
    if (text == NULL)
        text = flag_differs("auto_delete", name, spec->auto_delete, x->spec->auto_delete);
    if (text == NULL)
        text = flag_differs("internal", name, spec->internal, x->spec->internal);
    if (text == NULL)
        text = argument_differs("alternate-exchange", name, spec->arguments, x->spec->arguments);
    free(name);
    return text;
}
