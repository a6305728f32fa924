/* A line of a conversation: a verb and what is said about it. */
#ifndef TALK_WORDS_H
#define TALK_WORDS_H

#include "tests/talk/value.h"

enum { ARGUMENTS_MAX = 40 };

struct argument {
    const char *name;    /* NULL: a bare value */
    struct value *value; /* NULL: a bare word */
};

struct words {
    const char *verb; /* "basic.publish", "frame", "nothing" */
    unsigned n;
    struct argument arguments[ARGUMENTS_MAX];
};

/* Reads the rest of a line.  False with r->error set if it cannot be read. */
bool words_read(struct reading *r, struct words *w);

/* The argument of that name ('-' and '_' are the same), or NULL. */
const struct argument *words_find(const struct words *w, const char *name);
bool words_has(const struct words *w, const char *name);
const struct value *words_value(const struct words *w, const char *name);
uint64_t words_integer(const struct words *w, const char *name, uint64_t otherwise);
struct bytes words_bytes(const struct words *w, const char *name, struct bytes otherwise);

/* The first bare value, or NULL. */
const struct value *words_first_value(const struct words *w);

/* "delivery-mode" and "delivery_mode" are the same name. */
bool name_equal(const char *a, const char *b);
#endif
