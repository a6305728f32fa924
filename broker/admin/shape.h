/* What the API shows of each kind of object (reference operations 1.9): the model's row, and whatever else clients
 * expect to find; with zeros for what only RabbitMQ has.  The query says how much of it (look.h).
 *
 * All take the row, and answer what the caller owns.
 */
#ifndef BROKER_ADMIN_SHAPE_H
#define BROKER_ADMIN_SHAPE_H

#include <jansson.h>

#include "broker/admin/request.h"

/* Adds the counters of what has come and gone, with their details; values: by enum rates_column. */
void shape_set_churn(const struct request *r, json_t *to, const uint64_t *values, struct rates_range range);

/* The constant parts, one for each enum admin_template. */
void shape_load(json_t **templates);

json_t *shape_queue(struct request *r, json_t *row);
json_t *shape_exchange(struct request *r, json_t *row);
json_t *shape_binding(struct request *r, json_t *row);
json_t *shape_implied_binding(struct request *r, json_t *queue); /* every queue has one with the default exchange */
json_t *shape_consumer(struct request *r, json_t *row);
json_t *shape_unacked(struct request *r, json_t *row);
json_t *shape_connection(struct request *r, json_t *row);
json_t *shape_channel(struct request *r, json_t *row);
json_t *shape_vhost(struct request *r, json_t *row);
json_t *shape_user(struct request *r, json_t *row);
json_t *shape_as_is(struct request *r, json_t *row);
json_t *shape_policy(struct request *r, json_t *row);          /* NULL: it is another parameter */
json_t *shape_operator_policy(struct request *r, json_t *row); /* likewise */
json_t *shape_parameter(struct request *r, json_t *row);       /* NULL: it is a global one, or a policy */
json_t *shape_global_parameter(struct request *r, json_t *row);

json_t *shape_overview(struct request *r, json_t *totals);
json_t *shape_node(struct request *r);
json_t *shape_memory(struct request *r); /* what is not known to be for something is "other_proc" */
json_t *shape_listeners(struct request *r);

/* Those of the listeners that serve the page, as the overview or the node shows them. */
json_t *shape_contexts(struct request *r, const json_t *listeners, bool is_nodes);
json_t *shape_status(struct request *r, json_t *totals);

/* A binding's name among those between the same two: the routing key, form-encoded, and what is left of a hash of the
 * arguments (reference operations 1.2).  The caller owns it. */
char *shape_properties_key(struct bytes routing_key, const json_t *arguments);
#endif
