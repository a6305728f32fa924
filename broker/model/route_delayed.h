/* The exchange type x-delayed-message: which kind it routes by when the time has come, and what is to wait. */
#ifndef BROKER_MODEL_ROUTE_DELAYED_H
#define BROKER_MODEL_ROUTE_DELAYED_H

#include <stdbool.h>

struct broker;
struct exchange;
struct exchange_kind;
struct route;
struct routing;
struct spec;

/* The kind that x-delayed-type names; NULL: none that can be delayed. */
const struct exchange_kind *delayed_kind(const struct spec *spec);

/* If the message is to wait at x, adds the queue where it does so to the route. */
bool route_delayed(struct broker *b, struct exchange *x, struct routing *message, struct route *to);
#endif
