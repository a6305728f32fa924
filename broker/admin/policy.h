/* Policies and operator policies: is one as it must be (reference queue-features 8.1, 8.2)? */
#ifndef BROKER_ADMIN_POLICY_H
#define BROKER_ADMIN_POLICY_H

#include <jansson.h>
#include <stdbool.h>

/* Judges {"pattern": …, "definition": {…}, "priority": …, "apply-to": …}, the last two of which may be missing; further
 * members mean nothing.  NULL, or why not, in RabbitMQ's words without "Validation failed"; the caller frees it. */
char *policy_check(const json_t *value, bool is_operator);

/* A value as RabbitMQ's texts show it: 1, <<"text">>, true; the caller frees it. */
char *policy_print(const json_t *value);

/* Likewise limits of virtual hosts ("vhost-limits") and users: a number for each that is known. */
char *policy_check_limits(const json_t *value);

/* Says which member of limits is none, in RabbitMQ's words; NULL: all are.  The caller frees it. */
char *policy_find_unknown_limit(json_t *value);
#endif
