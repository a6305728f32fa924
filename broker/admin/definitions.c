#include "broker/admin/definitions.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/port/spec.h"

char *definitions_describe(const struct change *c)
{
    const struct spec *s = c->spec;
    switch (c->what) {
    case DEFINE_VHOST:
        return str_format("vhost '%.*s'", BYTES_ARG(s->name));
    case DEFINE_USER:
        return str_format("user '%.*s'", BYTES_ARG(s->name));
    case DEFINE_EXCHANGE:
        return str_format("exchange '%.*s' in vhost '%.*s'", BYTES_ARG(s->name), BYTES_ARG(s->vhost));
    case DEFINE_QUEUE:
        return str_format("queue '%.*s' in vhost '%.*s'", BYTES_ARG(s->name), BYTES_ARG(s->vhost));
    case DEFINE_BINDING:
        return str_format("binding of %s '%.*s' to exchange '%.*s' with the key '%.*s' in vhost '%.*s'",
                          s->to_exchange ? "exchange" : "queue", BYTES_ARG(s->name), BYTES_ARG(s->source),
                          BYTES_ARG(s->key), BYTES_ARG(s->vhost));
    case DEFINE_PERMISSION:
        return str_format("permissions of user '%.*s' in vhost '%.*s'", BYTES_ARG(s->name), BYTES_ARG(s->vhost));
    case DEFINE_TOPIC_PERMISSION:
        return str_format("permissions of user '%.*s' for the topics of exchange '%.*s' in vhost '%.*s'",
                          BYTES_ARG(s->name), BYTES_ARG(s->key), BYTES_ARG(s->vhost));
    case DEFINE_PARAMETER:
    case DEFINE_PART:
    case DEFINE_BOOKMARK:
    case DEFINE_CLASSES:
        break;
    }
    if (s->vhost.len == 0)
        return str_format("global parameter '%.*s'", BYTES_ARG(s->name));
    return str_format("%.*s '%.*s' in vhost '%.*s'", BYTES_ARG(s->type), BYTES_ARG(s->name), BYTES_ARG(s->vhost));
}

char *definitions_explain(const struct changes *c, const char *why)
{
    if (c == NULL || c->failed >= c->n)
        return str_copy(bytes_of_string(why));
    char *object = definitions_describe(&c->at[c->failed]), *text = str_format("%s: %s", object, why);
    free(object);
    return text;
}

void definitions_log_plan(const struct changes *c)
{
    static const struct {
        const char *many;
        bool is_sequential; /* as it is in RabbitMQ, whose line this is; here everything is one change */
    } kinds[DEFINE_CLASSES] = {
        [DEFINE_VHOST] = {"vhosts", true},
        [DEFINE_EXCHANGE] = {"exchanges", false},
        [DEFINE_QUEUE] = {"queues", false},
        [DEFINE_BINDING] = {"bindings", false},
        [DEFINE_USER] = {"users", true},
        [DEFINE_PERMISSION] = {"permissions", false},
        [DEFINE_TOPIC_PERMISSION] = {"topic permissions", false},
        [DEFINE_PARAMETER] = {"parameters and policies", false},
    };
    static const enum definition_class order[] = {
        DEFINE_USER,     DEFINE_VHOST,     DEFINE_PERMISSION, DEFINE_TOPIC_PERMISSION,
        DEFINE_EXCHANGE, DEFINE_PARAMETER, DEFINE_QUEUE,      DEFINE_BINDING,
    };
    size_t n[DEFINE_CLASSES] = {0};
    for (size_t i = 0; i < c->n; i++)
        n[c->at[i].what]++;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (n[order[i]] > 0)
            log_info("definitions", "Importing %s %zu %s...",
                     kinds[order[i]].is_sequential ? "sequentially" : "concurrently", n[order[i]],
                     kinds[order[i]].many);
}

void definitions_log_outcome(const struct changes *c)
{
    size_t made = 0, changed = 0, skipped = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct change *one = &c->at[i];
        made += one->outcome == CHANGE_MADE;
        changed += one->outcome == CHANGE_CHANGED;
        if (one->outcome != CHANGE_SKIPPED)
            continue;
        char *object = definitions_describe(one);
        log_warning("definitions", "%s was not imported: %s", object, one->text != NULL ? one->text : "skipped");
        free(object);
        skipped++;
    }
    log_info("definitions", "definitions: %zu objects, of which %zu are new, %zu were changed, %zu were skipped", c->n,
             made, changed, skipped);
}
