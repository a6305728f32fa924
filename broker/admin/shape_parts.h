/* What the files of shape.h share. */
#ifndef BROKER_ADMIN_SHAPE_PARTS_H
#define BROKER_ADMIN_SHAPE_PARTS_H

#include <jansson.h>

#include "broker/admin/request.h"
#include "broker/admin/state.h"

/* Adds what the row does not have; that is shared, and nobody changes it. */
json_t *shape_complete(const struct request *r, json_t *row, enum admin_template what);

void shape_set_node(const struct request *r, json_t *row);

/* A member, which is taken out of the row; NULL: it has none. */
json_t *shape_take(json_t *row, const char *key);
json_t *shape_or_null(json_t *value);

/* The row's members of those names, up to a NULL, and nothing else; the row is dropped. */
json_t *shape_pick(json_t *row, const char *const *names);

/* peer_host and peer_port of a connection, by its name. */
void shape_set_peer(json_t *details, const json_t *connection);

void shape_set_number(json_t *o, const char *key, uint64_t n);

/* Each 0. */
void shape_set_zeros(json_t *o, const char *const *names);
#endif
