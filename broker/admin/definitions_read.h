/* Reading one object of a document of definitions: its members, and what is said when one is not as it must be.
 */
#ifndef BROKER_ADMIN_DEFINITIONS_READ_H
#define BROKER_ADMIN_DEFINITIONS_READ_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "broker/admin/definitions.h"

struct spec;

struct reader {
    const struct definitions_options *options; /* borrowed */
    const struct bytes *vhost;                 /* borrowed: the only one; NULL: objects name theirs */
    struct changes *out;                       /* owned */
    char *error;                               /* owned: what was wrong first; NULL: nothing yet */
    const char *section;
    size_t index;       /* in the section */
    json_t *object;     /* borrowed: the one that is being read */
    bool hashes_by_md5; /* the document is so old */
};

/* That the object is not right; the first time counts.  False, for convenience. */
bool reader_fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Likewise, but it is left out. */
void reader_warn(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A member that must be text of at most DEFINITION_NAME_MAX bytes: not empty; or it may be. */
struct bytes reader_name(struct reader *r, const char *key);
struct bytes reader_text(struct reader *r, const char *key);

/* The virtual host that the object is in. */
struct bytes reader_vhost(struct reader *r);

/* A member that may be missing: true or false, be it as text. */
bool reader_flag(struct reader *r, const char *key, bool otherwise);

/* A member that may be missing or null: NULL then. */
json_t *reader_member(struct reader *r, const char *key);

/* Takes the JSON object that its arguments are made of; the changes get another one, unless something was wrong
 * already. spec's own arguments are not looked at. */
void reader_put(struct reader *r, enum definition_class what, const struct spec *spec, json_t *arguments);

/* A member that is an object, as a new reference; an empty one where it is missing, null, or an empty array (as some
 * exports say it).  NULL: it is something else, and that was said. */
json_t *reader_object(struct reader *r, const char *key);

/* Words in an array, or in text with commas, as a new array.  NULL: something else, and that was said; or it is missing
 * and so is the reason to say anything. */
json_t *reader_words(struct reader *r, const char *key);
#endif
