/* JSON, as Jansson holds it, and field tables, as the codec does: one into the other.
 *
 * What comes from JSON goes there and back without loss: integers are l, reals d, strings S, booleans t, null V, arrays
 * A, objects F.  What comes from clients has more kinds than JSON: every integer and timestamp is shown as an integer,
 * decimals as reals, byte arrays (x) as strings.  Bytes that are not UTF-8 are shown escaped: each byte that is not a
 * printable ASCII character, and the backslash, as \xHH.  Reals that are no number are shown as the strings NaN,
 * Infinity and -Infinity.  Of a key that is there twice the first counts, as it does for the broker.
 */
#ifndef BROKER_ADMIN_JSON_H
#define BROKER_ADMIN_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "codec/cursor.h"
#include "codec/table.h"

enum {
    JSON_KEY_MAX = 255,                /* bytes of a key in a field table */
    JSON_NESTING_MAX = TABLE_DEPTH_MAX /* objects and arrays inside one another, the outermost included */
};

/* A whole document: any value, UTF-8, no key twice in an object, not nested deeper than JSON_NESTING_MAX.  The caller
 * owns it.  NULL: *error says why and where ("2:17: …", line and column), and the caller frees it. */
json_t *json_read(struct bytes text, char **error);

/* New values that the caller owns.  The table, and what a field holds, was checked by the codec. */
json_t *json_of_table(struct bytes table);
json_t *json_of_value(const struct field *f);
json_t *json_of_text(struct bytes text);

/* Writes the object's members, without the length that may come before them.  False: *error says why (nested too
 * deeply, a key too long, larger than the pen or TABLE_SIZE_MAX), the caller frees it, and the pen is of no use. */
bool json_to_table(struct pen *p, const json_t *object, char **error);

/* Likewise, into memory of its own, which the caller gives to free(); *table views it.  NULL: *error says why. */
void *json_make_table(const json_t *object, struct bytes *table, char **error);

/* What json_object_set_new() and json_array_append_new() do, but not to be refused: the value is taken. */
void json_set(json_t *object, const char *key, json_t *value);
void json_add(json_t *array, json_t *value);

/* A string's bytes; empty for anything else. */
struct bytes json_text(const json_t *string);

/* The same of an object's member. */
struct bytes json_text_in(const json_t *object, const char *key);

/* Overwrites a string that is a secret, which would stay in memory for long; does nothing to anything else. */
void json_wipe(json_t *string);
#endif
