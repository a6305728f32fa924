/* A broker without sockets that is altered and asked as the administration does it. */
#ifndef TESTS_UNIT_CENSUS_H
#define TESTS_UNIT_CENSUS_H

#include <jansson.h>

#include "base/bytes.h"

struct broker;
struct changes;

struct broker *census_broker(void);

/* Takes the changes over, and answers them as they came back.  *why: NULL, or why they were all refused; the caller
 * frees both. */
struct changes *census_alter(struct broker *b, struct changes *c, char **why);

/* What the broker's export says; vhost NULL: all of it.  As text, which the caller frees. */
json_t *census_export(struct broker *b, const struct bytes *vhost);
char *census_export_text(struct broker *b, const struct bytes *vhost);
#endif
