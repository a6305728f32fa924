/* Definitions: everything in a broker but its messages, as a document in the format of RabbitMQ's exports (reference
 * operations 2.2 to 2.4).
 *
 * Reading one makes the changes that it asks for, which the model carries out all together or not at all (ALTER).  All
 * that can be judged without knowing what is there is judged before; names of virtual hosts and users that are not
 * there are the model's to find.  Nothing that is missing in the document is removed.
 */
#ifndef BROKER_ADMIN_DEFINITIONS_H
#define BROKER_ADMIN_DEFINITIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "broker/admin/credential.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"

enum { DEFINITIONS_BYTES_MAX = 20 << 20 }; /* of a document, unless said otherwise */

/* The global parameter that remembers what was imported last at the start (definitions.skip_if_unchanged).  It is this
 * broker's own: not exported, not imported. */
#define DEFINITIONS_HASH_PARAMETER "millrace_imported_definitions_hash"

struct definitions_options {
    size_t bytes_max;               /* 0: DEFINITIONS_BYTES_MAX */
    struct bytes hashing_algorithm; /* of passwords that come in plain text; empty: the default */
    struct credential *credential;  /* borrowed: what they must be like; NULL: anything */

    /* Does the user exist, and is this the password?  Then *algorithm and *hash (to be freed) are what it has, and
     * stay: a plain password that is imported again changes nothing.  NULL is allowed. */
    bool (*keep)(void *arg, struct bytes user, struct bytes password, char **algorithm, char **hash);

    /* What is left out, and why; a line each.  NULL: the log. */
    void (*warn)(void *arg, const char *text);
    void *arg;
};

/* What the document asks for, in the order in which it is to be made; o NULL: as if all of it were zero.  vhost: that
 * one is meant, whatever the objects say, and only its exchanges, queues, bindings, policies and parameters count;
 * NULL: every object names its own.  An empty document asks for nothing.
 *
 * NULL: *error says what is wrong with which object, or where (LINE:COLUMN); the caller frees it. */
struct changes *definitions_read(struct bytes json, const struct bytes *vhost, const struct definitions_options *o,
                                 char **error);

/* "queue 'q' in vhost '/'": the object that a change is about; the caller frees it. */
char *definitions_describe(const struct change *c);

/* Why all of it was refused: the text of FAILED, and the object in question; the caller frees it. */
char *definitions_explain(const struct changes *c, const char *why);

/* Says how many of each kind are about to be imported. */
void definitions_log_plan(const struct changes *c);

/* After DONE: a warning for everything that was skipped, and what was made, changed and left alone in all. */
void definitions_log_outcome(const struct changes *c);

/* ---- The other way.  Ask the broker what definitions_want() says until it says NULL:
 *
 *     while ((i = definitions_want(w)) != NULL)    INSPECT i
 *         definitions_take(w, i)                   what DONE brought back; or definitions_skip(w): FAILED
 *     document = definitions_finish(w)
 *
 * The same state makes the same document, byte for byte: everything is sorted, by virtual host and name. */
struct definitions_writer;

/* version: what RabbitMQ it says that it is of, product and product_version: whose it is; vhost: of that one alone, in
 * the shape that goes with it.  All of it is copied. */
struct definitions_writer *definitions_writer_create(const char *version, const char *product,
                                                     const char *product_version, const struct bytes *vhost);
void definitions_writer_destroy(struct definitions_writer *w); /* if it is not finished; NULL is allowed */

/* What to ask next: the caller's.  NULL: all is there.  Not to be called again before the answer. */
struct inspection *definitions_want(struct definitions_writer *w);

/* A page of what was wanted; takes it over. */
void definitions_take(struct definitions_writer *w, struct inspection *page);

/* There is no answer: its virtual host is gone. */
void definitions_skip(struct definitions_writer *w);

/* The document, which the caller owns; the writer is gone. */
json_t *definitions_finish(struct definitions_writer *w);
#endif
