/* Importing files of definitions at the start (reference operations 2.4): load_definitions, definitions.local.path,
 * definitions.skip_if_unchanged.
 */
#ifndef BROKER_IMPORT_H
#define BROKER_IMPORT_H

#include <stdbool.h>

struct broker;
struct config;
struct credential;
struct keeper;

enum { IMPORT_FILES_MAX = 10000 };

/* Does the configuration name any? */
bool import_is_wanted(const struct config *c);

/* What credential_validator says of passwords; the caller owns it.  NULL: *error says why there is no such thing. */
struct credential *import_credential(const struct config *c, char **error);

/* Reads them all, a folder's *.json by their names' order, and makes what they ask for as one change: all of it, or
 * nothing.  What is so already leaves no trace.  0, or the exit status after saying which file is wrong and why. */
int import_definitions(const struct config *c, struct broker *b, struct keeper *k);
#endif
