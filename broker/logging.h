/* The log as the configuration wants it: where lines go, from which level on, in which shape (reference operations 3.4,
 * 7.1). */
#ifndef BROKER_LOGGING_H
#define BROKER_LOGGING_H

#include <stdbool.h>

#include "broker/config_keys.h"

struct config;

/* Levels, and standard error.  node: what we are called, for JSON; borrowed for good. */
void logging_begin(const struct config *c, const char *node);

/* Levels alone, of all outputs and categories; is it the key of one? */
void logging_set_levels(const struct config *c);
bool logging_is_level(enum config_id id);

/* The file, if there is to be one: as who the broker is by then.  0, or the exit status after saying why on standard
 * error. */
int logging_open(const struct config *c);
void logging_close(void); /* safe without a file */

/* The file's full name, or NULL: there is none. */
const char *logging_file(void);
#endif
