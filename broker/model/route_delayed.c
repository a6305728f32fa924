#include "broker/model/route_delayed.h"

#include "base/str.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/route.h"
#include "broker/port/spec.h"
#include "codec/table.h"

const struct exchange_kind *delayed_kind(const struct spec *spec)
{
    const struct exchange_kind *kind = exchange_kind_find(table_find_string(spec->arguments, "x-delayed-type"));
    return kind == &exchange_delayed ? NULL : kind;
}

static char *refuse(const struct spec *spec)
{
    const struct exchange_kind *kind = exchange_kind_find(table_find_string(spec->arguments, "x-delayed-type"));
    if (kind == NULL)
        return str_copy(BYTES("Invalid argument, 'x-delayed-type' must be an existing exchange type"));
    if (kind == &exchange_delayed)
        return str_copy(BYTES("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'"));
    return kind->refuse != NULL ? kind->refuse(spec) : NULL;
}

bool route_delayed(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    const struct field *delay = routing_header(to, message, BYTES("x-delay"));
    to->is_fleeting = true;
    if (delay == NULL || delayed_time(delay) == 0)
        return false;
    route_add_queue(b, to, delayed_queue(b, x));
    return true;
}

/* A name, and what it refuses: an exchange of this type has the kind that it wraps. */
const struct exchange_kind exchange_delayed = {.name = {.at = (const uint8_t *)"x-delayed-message", .len = 17},
                                               .refuse = refuse};
