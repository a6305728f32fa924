/* The exchanges that leave it to chance: each message goes to one of the bindings, whatever their keys say.  On a
 * single node every queue is a local one, so x-local-random differs in nothing but the binding keys that it takes
 * (reference queue-features 9.7).
 */
#include "base/str.h"
#include "broker/model/exchange.h"
#include "broker/model/roster.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/port/spec.h"

static void random_init(struct broker *b, struct exchange *x)
{
    (void)b;
    x->roster = roster_create();
}

static void random_fini(struct broker *b, struct exchange *x)
{
    (void)b;
    roster_destroy(x->roster);
}

static void random_bind(struct broker *b, struct exchange *x, struct binding *bd)
{
    (void)b;
    roster_add(x->roster, bd, 1);
}

static void random_unbind(struct exchange *x, struct binding *bd)
{
    roster_remove(x->roster, bd);
}

static bool random_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    const struct roster *r = x->roster;
    (void)message;
    to->is_fleeting = true;
    if (r->n == 0)
        return false;
    route_add_binding(b, to, r->seats[broker_random(b, r->n)].binding);
    return true;
}

static char *refuse_key(const struct exchange *source, const struct spec *spec)
{
    (void)source;
    return spec->key.len == 0 ? NULL : str_format("Non empty binding '%.*s' key not permitted", BYTES_ARG(spec->key));
}

const struct exchange_kind exchange_random = {.name = BYTES_CONSTANT("x-random"),
                                              .route = random_route,
                                              .init = random_init,
                                              .fini = random_fini,
                                              .bind = random_bind,
                                              .unbind = random_unbind};
const struct exchange_kind exchange_local_random = {.name = BYTES_CONSTANT("x-local-random"),
                                                    .route = random_route,
                                                    .init = random_init,
                                                    .fini = random_fini,
                                                    .bind = random_bind,
                                                    .unbind = random_unbind,
                                                    .refuse_binding = refuse_key};
