/* What a password must be like where somebody sets one in plain text (the configuration's credential_validator).
 * Hashes are taken as they come.
 */
#ifndef BROKER_ADMIN_CREDENTIAL_H
#define BROKER_ADMIN_CREDENTIAL_H

#include <stdint.h>

#include "base/bytes.h"

struct credential;

/* backend: rabbit_credential_validator_accept_everything, _min_password_length or _password_regexp; of the other two
 * what it needs counts (regexp may be NULL).  NULL: *error says why not, and the caller frees it. */
struct credential *credential_create(const char *backend, uint64_t min_length, const char *regexp, char **error);
void credential_destroy(struct credential *c); /* NULL is allowed */

/* NULL, or why the password will not do; the caller frees it.  c NULL: anything will.  Not for two threads at once. */
char *credential_refuse(struct credential *c, struct bytes password);
#endif
