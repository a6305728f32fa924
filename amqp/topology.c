#include "amqp/topology.h"

#include <stdlib.h>

#include "amqp/options.h"
#include "amqp/state.h"
#include "base/alloc.h"
#include "broker/port/spec.h"

enum { NAME_MAX_BYTES = 255 };

/* ---- Names. */

/* The name without line ends; what is not to be copied stays where it is. */
static struct bytes strip(struct bytes name, uint8_t to[NAME_MAX_BYTES])
{
    size_t n = 0;
    if (name.len == 0 || (memchr(name.at, '\r', name.len) == NULL && memchr(name.at, '\n', name.len) == NULL))
        return name;
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] != '\r' && name.at[i] != '\n')
            to[n++] = name.at[i];
    return bytes_of(to, n);
}

static void remember_queue(struct channel *c, struct bytes name)
{
    free(c->last_queue);
    c->last_queue = alloc_copy(name.at, name.len);
    c->last_queue_len = (uint8_t)name.len;
}

struct error *topology_complete_queue(const struct channel *c, struct bytes *name)
{
    if (name->len > 0)
        return NULL;
    if (c->last_queue == NULL)
        return error_create(AMQP_NOT_FOUND, "no previously declared queue");
    *name = bytes_of(c->last_queue, c->last_queue_len);
    return NULL;
}

static void ask(struct session *s, struct channel *c, enum verb verb, const union method *m, bool no_wait,
                const struct spec *spec)
{
    session_ask(s, c, verb, m->id, no_wait)->spec = spec_create(spec);
}

/* ---- Exchanges. */

struct error *topology_on_exchange_declare(struct session *s, struct channel *c, const union method *m)
{
    const struct exchange_declare *declare = &m->exchange_declare;
    uint8_t room[NAME_MAX_BYTES];
    struct spec spec = {
        .name = strip(declare->exchange, room),
        .type = declare->type,
        .arguments = declare->arguments,
        .passive = declare->passive,
        .durable = declare->durable,
        .auto_delete = declare->auto_delete,
        .internal = declare->internal,
    };
    struct error *e = options_check_count(declare->arguments);
    if (e == NULL)
        ask(s, c, DECLARE_EXCHANGE, m, declare->no_wait, &spec);
    return e;
}

struct error *topology_on_exchange_delete(struct session *s, struct channel *c, const union method *m)
{
    const struct exchange_delete *delete = &m->exchange_delete;
    uint8_t room[NAME_MAX_BYTES];
    struct spec spec = {.name = strip(delete->exchange, room), .if_unused = delete->if_unused};
    ask(s, c, DELETE_EXCHANGE, m, delete->no_wait, &spec);
    return NULL;
}

/* ---- Bindings. */

/* What the four methods have in common. */
struct binding {
    enum verb verb;
    struct bytes to, source, key, arguments;
    bool to_exchange, no_wait;
};

static struct error *bind(struct session *s, struct channel *c, const union method *m, const struct binding *b)
{
    uint8_t to[NAME_MAX_BYTES], source[NAME_MAX_BYTES];
    struct spec spec = {
        .name = b->to,
        .source = strip(b->source, source),
        .key = b->key,
        .arguments = b->arguments,
        .to_exchange = b->to_exchange,
    };
    struct error *e = options_check_count(b->arguments);
    if (e == NULL && !b->to_exchange) {
        bool names_nothing = b->to.len == 0 && b->key.len == 0;
        e = topology_complete_queue(c, &spec.name);
        if (names_nothing)
            spec.key = spec.name; /* the specification's short cut: the last queue under its own name */
    }
    if (e != NULL)
        return e;
    spec.name = strip(spec.name, to);
    ask(s, c, b->verb, m, b->no_wait, &spec);
    return NULL;
}

struct error *topology_on_exchange_bind(struct session *s, struct channel *c, const union method *m)
{
    const struct exchange_bind *b = &m->exchange_bind;
    return bind(s, c, m,
                &(struct binding){BIND, b->destination, b->source, b->routing_key, b->arguments, true, b->no_wait});
}

struct error *topology_on_exchange_unbind(struct session *s, struct channel *c, const union method *m)
{
    const struct exchange_unbind *b = &m->exchange_unbind;
    return bind(s, c, m,
                &(struct binding){UNBIND, b->destination, b->source, b->routing_key, b->arguments, true, b->no_wait});
}

struct error *topology_on_queue_bind(struct session *s, struct channel *c, const union method *m)
{
    const struct queue_bind *b = &m->queue_bind;
    return bind(s, c, m,
                &(struct binding){BIND, b->queue, b->exchange, b->routing_key, b->arguments, false, b->no_wait});
}

struct error *topology_on_queue_unbind(struct session *s, struct channel *c, const union method *m)
{
    const struct queue_unbind *b = &m->queue_unbind;
    return bind(s, c, m, &(struct binding){UNBIND, b->queue, b->exchange, b->routing_key, b->arguments, false, false});
}

/* ---- Queues. */

struct error *topology_on_queue_declare(struct session *s, struct channel *c, const union method *m)
{
    const struct queue_declare *declare = &m->queue_declare;
    uint8_t room[NAME_MAX_BYTES];
    /* cppcheck-suppress variableScope; spec.name borrows it */
    char made[SESSION_NAME_ROOM];
    struct spec spec = {
        .name = strip(declare->queue, room),
        .arguments = declare->arguments,
        .passive = declare->passive,
        .durable = declare->durable,
        .exclusive = declare->exclusive,
        .auto_delete = declare->auto_delete,
    };
    char *objection = NULL;
    if (spec.name.len == 0 && !declare->passive) {
        spec.name = session_make_name(s, "amq.gen-", made);
        spec.server_named = true;
    }
    if (!declare->passive)
        objection = options_read_queue(&spec, session_vhost(s));
    if (objection != NULL)
        spec.objection = bytes_of_string(objection);
    if (spec.name.len > 0)
        remember_queue(c, spec.name);
    ask(s, c, DECLARE_QUEUE, m, declare->no_wait, &spec);
    free(objection);
    return NULL;
}

struct error *topology_on_queue_purge(struct session *s, struct channel *c, const union method *m)
{
    struct spec spec = {.name = m->queue_purge.queue};
    struct error *e = topology_complete_queue(c, &spec.name);
    if (e == NULL)
        ask(s, c, PURGE_QUEUE, m, m->queue_purge.no_wait, &spec);
    return e;
}

struct error *topology_on_queue_delete(struct session *s, struct channel *c, const union method *m)
{
    const struct queue_delete *delete = &m->queue_delete;
    uint8_t room[NAME_MAX_BYTES];
    struct spec spec = {.name = delete->queue, .if_unused = delete->if_unused, .if_empty = delete->if_empty};
    struct error *e = topology_complete_queue(c, &spec.name);
    if (e != NULL)
        return e;
    spec.name = strip(spec.name, room);
    ask(s, c, DELETE_QUEUE, m, delete->no_wait, &spec);
    return NULL;
}
