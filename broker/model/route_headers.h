/* The headers exchange (reference amqp-protocol 5.6). */
#ifndef BROKER_MODEL_ROUTE_HEADERS_H
#define BROKER_MODEL_ROUTE_HEADERS_H

#include "base/bytes.h"
#include "broker/model/exchange.h"

/* How a binding with these arguments wants to match; MATCH_ALL where they do not say or say nonsense. */
enum headers_match headers_match_of(struct bytes arguments);

/* NULL, or what is wrong with x-match; on the heap. */
char *headers_match_refuse(struct bytes arguments);
/* NULL: the binding of a headers exchange matches the message; else why it does not, on the heap. */
char *headers_match_tell(const struct binding *bd, struct route *r, struct routing *message);
#endif
