/* What the handlers of exchanges, queues and bindings share. */
#ifndef BROKER_ADMIN_TOPOLOGY_H
#define BROKER_ADMIN_TOPOLOGY_H

#include <jansson.h>

#include "broker/admin/request.h"

/* In paths the default exchange, whose name is empty, is called amq.default. */
struct bytes topology_exchange(struct bytes name);

/* The body's "arguments", an object, without null in it; the caller owns it.  NULL: it was answered. */
json_t *topology_arguments(struct request *r);
#endif
