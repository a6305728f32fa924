#include "tests/talk/words.h"

#include <ctype.h>
#include <string.h>

bool name_equal(const char *a, const char *b)
{
    for (; *a != '\0' || *b != '\0'; a++, b++)
        if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
            return false;
    return true;
}

static bool starts_value(const struct reading *r)
{
    return strchr("\"~$*{[", *r->at) != NULL || isdigit((unsigned char)*r->at) || strncmp(r->at, "x\"", 2) == 0;
}

static bool words_read_one(struct reading *r, struct words *w)
{
    if (w->n == ARGUMENTS_MAX) {
        r->error = "too much on one line";
        return false;
    }
    struct argument *a = &w->arguments[w->n++];
    *a = (struct argument){0};
    if (starts_value(r)) {
        a->value = value_read(r);
        return a->value != NULL;
    }
    a->name = reading_word(r);
    if (a->name == NULL) {
        r->error = "neither a word nor a value";
        return false;
    }
    if (*r->at != '=')
        return true;
    r->at++;
    a->value = value_read(r);
    return a->value != NULL;
}

bool words_read(struct reading *r, struct words *w)
{
    w->n = 0;
    w->verb = reading_word(r);
    if (w->verb == NULL) {
        r->error = "nothing is said";
        return false;
    }
    for (;;) {
        reading_skip_blanks(r);
        if (*r->at == '\0' || *r->at == '#')
            return true;
        if (!words_read_one(r, w))
            return false;
    }
}

const struct argument *words_find(const struct words *w, const char *name)
{
    for (unsigned i = 0; i < w->n; i++)
        if (w->arguments[i].name != NULL && name_equal(w->arguments[i].name, name))
            return &w->arguments[i];
    return NULL;
}

bool words_has(const struct words *w, const char *name)
{
    return words_find(w, name) != NULL;
}

const struct value *words_value(const struct words *w, const char *name)
{
    const struct argument *a = words_find(w, name);
    return a == NULL ? NULL : a->value;
}

uint64_t words_integer(const struct words *w, const char *name, uint64_t otherwise)
{
    const struct value *v = words_value(w, name);
    return v == NULL ? otherwise : v->integer;
}

struct bytes words_bytes(const struct words *w, const char *name, struct bytes otherwise)
{
    const struct value *v = words_value(w, name);
    return v == NULL ? otherwise : v->bytes;
}

const struct value *words_first_value(const struct words *w)
{
    for (unsigned i = 0; i < w->n; i++)
        if (w->arguments[i].name == NULL)
            return w->arguments[i].value;
    return NULL;
}
