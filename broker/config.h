/* The configuration: defaults, files in the grammar of rabbitmq.conf, and --set (reference operations 3).
 *
 * Reading never stops at the first mistake: everything that is wrong or has no effect becomes a complaint, one line of
 * text, and whoever reads the configuration asks afterwards whether there were errors.
 *
 * Secrets are kept in one place each; what was read on the way to it is wiped.
 */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "broker/config_keys.h"

struct config;

enum { CONFIG_FILE_BYTES_MAX = 4 << 20, CONFIG_INCLUDES_MAX = 100 };

struct config *config_create(void);
void config_destroy(struct config *c);

/* Reads a file and what it includes; later settings replace earlier ones.  That it cannot be read is an error. */
void config_read_file(struct config *c, const char *path);

/* The same for text that is there already; name is what complaints call it. */
void config_read_text(struct config *c, const char *name, struct bytes text);

/* "KEY=VALUE" from the command line, the number-th there: complaints call it "--set:NUMBER". */
void config_set(struct config *c, const char *setting, unsigned number);

/* The same of a place that complaints call by its name; and a complaint about it. */
void config_set_from(struct config *c, const char *origin, const char *key, const char *value);
void config_complain(struct config *c, const char *origin, bool is_error, const char *text);

/* A value that was found out rather than configured; counts only where nothing is set. */
void config_suggest(struct config *c, enum config_id id, const char *value, const char *origin);

struct config_complaint {
    bool is_error; /* else a warning */
    char *text;    /* "FILE:LINE: what is wrong" */
};

/* What was wrong, in the order in which it was found. */
const struct config_complaint *config_complaints(const struct config *c, size_t *n);
size_t config_errors(const struct config *c);

/* Values of keys without * in their names: what is set, or the default.  A key without either is 0, or NULL. */
uint64_t config_number(const struct config *c, enum config_id id);
double config_fraction(const struct config *c, enum config_id id);
const char *config_text(const struct config *c, enum config_id id);
bool config_is_set(const struct config *c, enum config_id id);

/* Wipes a secret if it was set: it is "" from now on.  For when nothing borrows it any more. */
void config_forget_secret(struct config *c, enum config_id id);

/* Every setting of a key with * in its name, by that name: the word that * stands for, the value, and what it means if
 * it is a number or a boolean. */
typedef void config_each_fn(void *arg, const char *word, const char *value, uint64_t number);
void config_each(const struct config *c, enum config_id id, config_each_fn *each, void *arg);

/* Every key that both do not have, or with other values; secrets are not compared. */
typedef void config_change_fn(void *arg, const struct config_key *key, const char *name);
void config_each_change(const struct config *before, const struct config *after, config_change_fn *each, void *arg);

/* The files that were read, in that order, by their full names where these are known. */
const char *const *config_files(const struct config *c, size_t *n);

/* The whole table: "key = value  # origin". */
void config_print(const struct config *c, FILE *to);
#endif
