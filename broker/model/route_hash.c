/* The exchanges that spread messages over their bindings by a hash (reference queue-features 9.6, 9.7).
 *
 * x-consistent-hash: the binding key is a weight.  Each destination bids for a message with a number that depends on
 * the message's hash, its own name and its weight, and the best one gets it.  So a destination that comes takes its
 * share from all others and one that goes leaves its share to all others; what stays between others stays where it is,
 * and where a message goes depends neither on the order in which bindings were made nor on the process.  A message
 * costs a look at each binding, unless it has the routing key of the one before.
 *
 * x-modulus-hash: the hash of the routing keys modulo the number of bindings, which are ordered by destination.
 */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/real.h"
#include "base/str.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/roster.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/port/spec.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { WEIGHT_MAX = 1000000000 };

/* Everybody knows it: see roster.c. */
static const uint64_t VALUE_SEED = 0x76616c7565;

static const struct bytes properties[] = {BYTES_CONSTANT("message_id"), BYTES_CONSTANT("correlation_id"),
                                          BYTES_CONSTANT("timestamp")};

enum property { BY_MESSAGE_ID, BY_CORRELATION_ID, BY_TIMESTAMP, PROPERTIES };

/* ---- What is hashed. */

/* The argument; x-hash-on is what LavinMQ calls hash-header. */
static bool find_header(struct bytes arguments, struct field *f)
{
    return table_find(arguments, BYTES("hash-header"), f) || table_find(arguments, BYTES("x-hash-on"), f);
}

static bool find_property(struct bytes arguments, struct field *f)
{
    return table_find(arguments, BYTES("hash-property"), f);
}

static enum property property_of(struct bytes name)
{
    enum property p = 0;
    while (p < PROPERTIES && !bytes_equal(properties[p], name))
        p++;
    return p;
}

static char *hash_refuse(const struct spec *spec)
{
    struct field header, property;
    bool has_header = find_header(spec->arguments, &header), has_property = find_property(spec->arguments, &property);
    if (has_header && has_property)
        return str_copy(BYTES("hash-header and hash-property are mutually exclusive"));
    const struct field *given = has_header ? &header : &property;
    if ((has_header || has_property) && given->type != 'S')
        return str_format("invalid type '%s' for arg '%s' in exchange '%.*s'", field_type_name(given->type),
                          has_header ? "hash-header" : "hash-property", BYTES_ARG(spec->name));
    if (has_property && property_of(property.bytes) == PROPERTIES)
        return str_format("Unsupported property: %.*s", BYTES_ARG(property.bytes));
    return NULL;
}

static uint64_t hash_number(uint64_t v)
{
    return hash_mix(VALUE_SEED, v);
}

/* Numbers of any width are the same; what is missing is like what is empty. */
static uint64_t hash_field(const struct field *f)
{
    if (f == NULL)
        return hash_bytes(BYTES(""), VALUE_SEED);
    if (field_is_integer(f))
        return hash_number((uint64_t)f->integer);
    return hash_bytes(f->type == 'S' || f->type == 'x' ? f->bytes : f->raw, VALUE_SEED);
}

static uint64_t hash_property(const struct routing *message, enum property which)
{
    struct properties p = {0};
    if (message->msg != NULL && !properties_decode(message_properties(message->msg), &p))
        p = (struct properties){0};
    if (which == BY_TIMESTAMP && properties_has(&p, PROPERTY_timestamp))
        return hash_number(p.timestamp);
    return hash_bytes(which == BY_MESSAGE_ID       ? p.message_id
                      : which == BY_CORRELATION_ID ? p.correlation_id
                                                   : BYTES(""),
                      VALUE_SEED);
}

static uint64_t hash_message(const struct exchange *x, struct routing *message, struct route *to)
{
    struct field f;
    if (find_header(x->spec->arguments, &f)) {
        to->is_fleeting = true;
        return hash_field(routing_header(to, message, f.bytes));
    }
    if (find_property(x->spec->arguments, &f)) {
        to->is_fleeting = true;
        return hash_property(message, property_of(f.bytes));
    }
    return hash_bytes(message->key, VALUE_SEED);
}

/* ---- X-consistent-hash. */

/* A decimal integer, up to WEIGHT_MAX in size; false: it is none. */
static bool read_weight(struct bytes key, int64_t *weight)
{
    size_t i = key.len > 0 && (key.at[0] == '-' || key.at[0] == '+');
    bool is_number = i < key.len;
    *weight = 0;
    for (; i < key.len && is_number; i++) {
        is_number = key.at[i] >= '0' && key.at[i] <= '9';
        *weight = *weight * 10 + (key.at[i] - '0');
        if (*weight > WEIGHT_MAX)
            *weight = WEIGHT_MAX;
    }
    if (is_number && key.at[0] == '-')
        *weight = -*weight;
    return is_number;
}

static char *refuse_weight(const struct exchange *source, const struct spec *spec)
{
    int64_t weight;
    (void)source;
    if (!read_weight(spec->key, &weight))
        return spec->key.len == 0
                   ? str_copy(BYTES("The binding key must be an integer: <<>>"))
                   : str_format("The binding key must be an integer: <<\"%.*s\">>", BYTES_ARG(spec->key));
    return weight > 0 ? NULL : str_copy(BYTES("The binding key must be greater than 0"));
}

static void hash_init(struct broker *b, struct exchange *x)
{
    (void)b;
    x->roster = roster_create();
}

static void hash_fini(struct broker *b, struct exchange *x)
{
    (void)b;
    roster_destroy(x->roster);
}

/* Another binding of the same exchange and destination; has_seat: that counts.  NULL: there is none. */
static struct binding *find_other(const struct binding *bd, bool has_seat)
{
    const struct list *all = bd->queue != NULL ? &bd->queue->bindings : &bd->to->incoming;
    struct binding *other;
    list_each (other, all, struct binding, in_destination)
        if (other != bd && other->source == bd->source && (other->seat != SIZE_MAX) == has_seat)
            return other;
    return NULL;
}

static void seat(struct exchange *x, struct binding *bd)
{
    int64_t weight;
    read_weight(bd->key, &weight);
    roster_add(x->roster, bd, (double)weight);
}

/* Of several bindings of one destination the first one counts. */
static void consistent_bind(struct broker *b, struct exchange *x, struct binding *bd)
{
    (void)b;
    bd->seat = SIZE_MAX;
    if (find_other(bd, true) == NULL)
        seat(x, bd);
}

static void consistent_unbind(struct exchange *x, struct binding *bd)
{
    if (bd->seat == SIZE_MAX)
        return;
    roster_remove(x->roster, bd);
    struct binding *other = find_other(bd, false);
    if (other != NULL)
        seat(x, other);
}

/* Weighted rendezvous hashing: the lowest of -ln(u) / weight, u being even in (0, 1]. */
static bool consistent_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    const struct roster *r = x->roster;
    uint64_t hash = hash_message(x, message, to);
    const struct seat *best = NULL;
    double lowest = HUGE_VAL;
    for (size_t i = 0; i < r->n; i++) {
        const struct seat *s = &r->seats[i];
        uint64_t bits = hash_mix(hash_mix(hash, s->hash), VALUE_SEED) >> 11;
        double bid = -real_log((double)(bits + 1) * 0x1p-53) / s->weight;
        if (best == NULL || bid < lowest) {
            best = s;
            lowest = bid;
        }
    }
    if (best != NULL)
        route_add_binding(b, to, best->binding);
    return best != NULL;
}

/* ---- X-modulus-hash. */

static void modulus_bind(struct broker *b, struct exchange *x, struct binding *bd)
{
    (void)b;
    roster_add(x->roster, bd, 1);
}

static void modulus_unbind(struct exchange *x, struct binding *bd)
{
    roster_remove(x->roster, bd);
}

static bool modulus_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    struct roster *r = x->roster;
    uint64_t hash = VALUE_SEED;
    struct bytes key;
    if (r->n == 0)
        return false;
    for (struct key_walk w = routing_keys(message); key_walk_next(&w, &key);)
        hash = hash_mix(hash, hash_bytes(key, VALUE_SEED));
    roster_sort(r);
    route_add_binding(b, to, r->seats[hash % r->n].binding);
    return true;
}

const struct exchange_kind exchange_consistent_hash = {.name = BYTES_CONSTANT("x-consistent-hash"),
                                                       .route = consistent_route,
                                                       .init = hash_init,
                                                       .fini = hash_fini,
                                                       .bind = consistent_bind,
                                                       .unbind = consistent_unbind,
                                                       .refuse = hash_refuse,
                                                       .refuse_binding = refuse_weight};
const struct exchange_kind exchange_modulus_hash = {.name = BYTES_CONSTANT("x-modulus-hash"),
                                                    .route = modulus_route,
                                                    .init = hash_init,
                                                    .fini = hash_fini,
                                                    .bind = modulus_bind,
                                                    .unbind = modulus_unbind};
