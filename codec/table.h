/* Field tables and arrays, in RabbitMQ's dialect of type letters (reference amqp-protocol 3.5).
 *
 * A table is kept as the bytes it came in, without its 4-byte length.  It is checked once, when it is decoded
 * (table_check), and then read where it lies: fields are views.  Nothing here recurses on input.
 */
#ifndef CODEC_TABLE_H
#define CODEC_TABLE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "codec/cursor.h"

enum {
    TABLE_DEPTH_MAX = 64,     /* tables and arrays inside one another, the outermost included (reliability C6) */
    TABLE_SIZE_MAX = 1 << 20, /* bytes of one table; what comes in is bounded by the frame before that */
};

/* One value.  Which member counts follows from the type letter. */
struct field {
    struct bytes key; /* empty inside an array */
    char type;        /* t b B s u I i l L f d D S A T F V x */
    union {
        bool boolean;       /* t */
        int64_t integer;    /* b B s u I i l L */
        uint64_t timestamp; /* T, in seconds */
        double real;        /* f d */
        struct {
            uint8_t scale;
            uint32_t digits;
        } decimal;          /* D */
        struct bytes bytes; /* S x: the bytes;  A F: the inner encoding, without its length */
    };
    struct bytes raw; /* the value as it was encoded, without the type letter */
};

/* True if b is a whole, well-formed table (or array) of at most TABLE_SIZE_MAX bytes, with nothing left over.  The
 * table itself is the first level: with depth_max 1 it may hold no other.  No depth_max allows more than
 * TABLE_DEPTH_MAX. */
bool table_check(struct bytes b, unsigned depth_max);
bool table_check_array(struct bytes b, unsigned depth_max);

/* Walking a checked table:  struct cursor c = cursor_over(table);  while (table_next(&c, &field)) …
 * False at the end, and at the first thing that is not a field. */
bool table_next(struct cursor *c, struct field *out);
bool table_next_in_array(struct cursor *c, struct field *out);

/* The first field with that key; false if there is none. */
bool table_find(struct bytes table, struct bytes key, struct field *out);

/* The string (S) of that key; empty, with at NULL, if there is none. */
struct bytes table_find_string(struct bytes table, const char *key);

bool field_is_integer(const struct field *f);

/* The letter's name in RabbitMQ's error texts: bool, byte, unsignedbyte, short, …  (reference 3.5, last column);
 * "unknown" for what is not a type letter. */
const char *field_type_name(char type);

/* The same value, as exchanges of type headers and redeclarations see it: integers by value whatever their letter, f
 * and d likewise, and an integer equals a real of the same value; everything else by type and value, tables and arrays
 * by their bytes.  Needs no raw. */
bool field_equal_value(const struct field *a, const struct field *b);

/* The value as RabbitMQ prints it in "inequivalent arg" texts: 1000, a, false; of a table or an array only how many
 * entries it has.  At most room bytes, cut short if need be, always terminated unless room is 0; answers the length. */
size_t field_print(const struct field *f, char *to, size_t room);

/* True if the two checked tables hold the same entries, keys, letters and bytes, in any order: what makes two bindings
 * one.  Tables with more than TABLE_SORT_MAX entries are compared in the order they came. */
enum { TABLE_SORT_MAX = 256 };
bool table_same_entries(struct bytes a, struct bytes b);

/* A number that is equal for tables with the same entries (in any order). */
uint64_t table_hash(struct bytes table, uint64_t seed);

/* Writing: a key with its letter and value.  Only the letters that every client can read are offered. */
void table_put_bool(struct pen *p, struct bytes key, bool v);
void table_put_i64(struct pen *p, struct bytes key, int64_t v);         /* l */
void table_put_i32(struct pen *p, struct bytes key, int32_t v);         /* I */
void table_put_double(struct pen *p, struct bytes key, double v);       /* d */
void table_put_string(struct pen *p, struct bytes key, struct bytes v); /* S */
void table_put_timestamp(struct pen *p, struct bytes key, uint64_t seconds);
void table_put_field(struct pen *p, const struct field *f); /* key, letter and raw bytes as they came */

/* A nested table or array: letter 'F' or 'A', what follows until table_close() is inside.  An array's elements have no
 * keys, and are written by the functions named so. */
uint8_t *table_open(struct pen *p, struct bytes key, char type);
uint8_t *table_open_in_array(struct pen *p, char type);
void table_close(struct pen *p, uint8_t *mark);
void table_put_string_in_array(struct pen *p, struct bytes v);
void table_put_field_in_array(struct pen *p, const struct field *f); /* letter and raw bytes; its key is left out */
#endif
