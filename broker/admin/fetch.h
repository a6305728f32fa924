/* Small steps that handlers share: look first, then go on. */
#ifndef BROKER_ADMIN_FETCH_H
#define BROKER_ADMIN_FETCH_H

#include <jansson.h>

#include "broker/admin/request.h"

/* Puts the one object of that kind and name into r->before, as the model's row, or NULL, and goes on with next. */
void fetch_before(struct request *r, enum inspection_kind what, const struct bytes *vhost, const struct bytes *name,
                  request_fn *next);

/* Goes on if there is such a virtual host, queue, …: else 404. */
void fetch_to_go_on(struct request *r, enum inspection_kind what, const struct bytes *vhost, const struct bytes *name,
                    request_fn *next);

/* Tags are a list of texts, or one text with commas.  A new array; NULL: it was answered.  value may be NULL. */
json_t *fetch_tags(struct request *r, const json_t *value);

/* A row without its name, and the rest as it is: what goes back as arguments when one member is changed. */
json_t *fetch_rest(json_t *row);

/* The body's "value", an integer, for the limit `name`, one of names, which end with NULL; false: it was answered. */
bool fetch_limit(struct request *r, struct bytes name, const char *const *names, int64_t *value);
#endif
