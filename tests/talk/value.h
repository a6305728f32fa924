/* The values that conversations are written with, and how they compare with what came (README.md, "Values").
 *
 *     5  -1  0xCE  true  "text\n\x00"  x"0a0b"  1000*"x"  "m"+$i  {a=I:1 b="x"}  ["a" I:2]  *  ~"amq.gen-.*"  $name
 *
 * A name that is not set yet, in a line that expects something, takes what came.
 */
#ifndef TALK_VALUE_H
#define TALK_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "codec/cursor.h"
#include "codec/table.h"
#include "tests/talk/scratch.h"

enum value_kind {
    VALUE_ANY,     /* * */
    VALUE_INTEGER, /* also true and false */
    VALUE_REAL,
    VALUE_BYTES,
    VALUE_PATTERN, /* ~"…": an extended regular expression for all of it */
    VALUE_TABLE,   /* {…} */
    VALUE_ARRAY,   /* […] */
    VALUE_VOID,    /* V */
};

struct value {
    struct value *next; /* in a table or an array */
    struct bytes key;   /* in a table */
    enum value_kind kind;
    char type;        /* the letter before the colon; 0: not said */
    bool ordered;     /* a table whose entries must come in this order */
    bool open;        /* a table or array that may hold more than is written: … */
    uint64_t integer; /* two's complement; a decimal's scale */
    uint32_t digits;  /* a decimal's */
    double real;
    struct bytes bytes;  /* of a string, a pattern (terminated) */
    struct value *first; /* what a table or array holds */
    const char *capture; /* the name that takes what came, or NULL */
};

/* Names and what they stand for, while a conversation goes on. */
struct variable {
    const char *name;
    bool is_integer;
    uint64_t integer;
    struct bytes bytes;
};

enum { VARIABLES_MAX = 64 };

struct variables {
    struct scratch *scratch; /* borrowed: where names and bytes are kept */
    unsigned n;
    struct variable all[VARIABLES_MAX];
};

struct variable *variables_find(struct variables *vars, const char *name);
void variables_set_bytes(struct variables *vars, const char *name, struct bytes b);
void variables_set_integer(struct variables *vars, const char *name, uint64_t n);

/* A text being read; the first thing wrong with it stays in error. */
struct reading {
    const char *at;
    const char *error; /* NULL: none so far */
    bool expecting;    /* names that are not set are allowed, and take what comes */
    struct scratch *scratch;
    struct variables *vars;
};

void reading_skip_blanks(struct reading *r);

/* A word of letters, digits, '-', '.', '_'; NULL if there is none here. */
char *reading_word(struct reading *r);

/* NULL with r->error set if there is none here. */
struct value *value_read(struct reading *r);

/* Whether what came is what is written.  vars takes captures. */
bool value_match_integer(const struct value *v, struct variables *vars, uint64_t came);
bool value_match_bytes(const struct value *v, struct variables *vars, struct bytes came);
bool value_match_table(const struct value *v, struct variables *vars, struct bytes came);

/* No fewer bytes than it takes on the wire. */
size_t value_size(const struct value *v);

/* The bytes of a table or array as it goes on the wire, without its length. */
void value_put_inside(const struct value *v, struct pen *p);

/* Prints what came as it would be written. */
void print_bytes(FILE *to, struct bytes b);
void print_table(FILE *to, struct bytes table);
#endif
