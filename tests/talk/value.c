#include "tests/talk/value.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct variable *variables_find(struct variables *vars, const char *name)
{
    for (unsigned i = 0; i < vars->n; i++)
        if (strcmp(vars->all[i].name, name) == 0)
            return &vars->all[i];
    return NULL;
}

static struct variable *variable_named(struct variables *vars, const char *name)
{
    struct variable *v = variables_find(vars, name);
    if (v == NULL) {
        v = &vars->all[vars->n < VARIABLES_MAX - 1 ? vars->n++ : vars->n];
        v->name = scratch_string(vars->scratch, bytes_of_string(name));
    }
    return v;
}

void variables_set_bytes(struct variables *vars, const char *name, struct bytes b)
{
    struct variable *v = variable_named(vars, name);
    v->is_integer = false;
    v->bytes = scratch_copy(vars->scratch, b);
}

void variables_set_integer(struct variables *vars, const char *name, uint64_t n)
{
    struct variable *v = variable_named(vars, name);
    v->is_integer = true;
    v->integer = n;
}

/* ---- Reading. */

void reading_skip_blanks(struct reading *r)
{
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
}

static bool is_word_character(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

char *reading_word(struct reading *r)
{
    reading_skip_blanks(r);
    const char *start = r->at;
    while (is_word_character(*r->at) && strncmp(r->at, "...", 3) != 0)
        r->at++;
    return r->at == start ? NULL : scratch_string(r->scratch, bytes_of(start, (size_t)(r->at - start)));
}

static bool reading_accept(struct reading *r, const char *what)
{
    size_t n = strlen(what);
    if (strncmp(r->at, what, n) != 0)
        return false;
    r->at += n;
    return true;
}

static struct value *reading_wrong(struct reading *r, const char *error)
{
    if (r->error == NULL)
        r->error = error;
    return NULL;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));
    return found == NULL ? -1 : (int)(found - digits);
}

static bool read_two_digits(const char *at, uint8_t *byte)
{
    int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
    if (low < 0)
        return false;
    *byte = (uint8_t)(high * 16 + low);
    return true;
}

static bool read_escape(struct reading *r, struct buffer *b)
{
    char c = *r->at++;
    uint8_t byte = (uint8_t)c;
    if (c == 'n')
        byte = '\n';
    else if (c == 'r')
        byte = '\r';
    else if (c == 't')
        byte = '\t';
    else if (c == 'x' && read_two_digits(r->at, &byte))
        r->at += 2;
    else if (c != '\\' && c != '"')
        return false;
    buffer_add(b, bytes_of(&byte, 1));
    return true;
}

/* After the opening quote. */
static bool read_quoted(struct reading *r, struct buffer *b)
{
    while (*r->at != '"') {
        const char *at = r->at++;
        if (*at == '\0') {
            r->at = at;
            return false;
        }
        if (*at != '\\')
            buffer_add(b, bytes_of(at, 1));
        else if (!read_escape(r, b))
            return false;
    }
    r->at++;
    return true;
}

/* After x and the opening quote. */
static bool read_hex(struct reading *r, struct buffer *b)
{
    for (; *r->at != '"'; r->at++) {
        if (*r->at == ' ')
            continue;
        uint8_t byte;
        if (!read_two_digits(r->at, &byte))
            return false;
        buffer_add(b, bytes_of(&byte, 1));
        r->at++;
    }
    r->at++;
    return true;
}

static void add_variable(struct buffer *b, const struct variable *v)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)v->integer);
    buffer_add(b, v->is_integer ? bytes_of_string(digits) : v->bytes);
}

/* One of "…", x"…", $name, into b. */
static bool read_atom(struct reading *r, struct buffer *b)
{
    if (reading_accept(r, "\""))
        return read_quoted(r, b);
    if (reading_accept(r, "x\""))
        return read_hex(r, b);
    if (reading_accept(r, "$")) {
        const char *name = reading_word(r);
        struct variable *v = name == NULL ? NULL : variables_find(r->vars, name);
        if (v != NULL)
            add_variable(b, v);
        return v != NULL;
    }
    return false;
}

static bool read_repeated(struct reading *r, struct buffer *b)
{
    unsigned long times = 1;
    if (isdigit((unsigned char)*r->at)) {
        char *end;
        times = strtoul(r->at, &end, 10);
        r->at = end;
        if (!reading_accept(r, "*"))
            return false;
    }
    struct buffer once = {0};
    bool ok = read_atom(r, &once);
    for (unsigned long i = 0; ok && i < times; i++)
        buffer_add(b, buffer_bytes(&once));
    buffer_fini(&once);
    return ok;
}

static struct value *read_bytes(struct reading *r, struct value *v)
{
    struct buffer b = {0};
    bool ok;
    do
        ok = read_repeated(r, &b);
    while (ok && reading_accept(r, "+"));
    v->kind = VALUE_BYTES;
    v->bytes = scratch_copy(r->scratch, buffer_bytes(&b));
    buffer_fini(&b);
    return ok ? v : reading_wrong(r, "not a string");
}

static struct value *read_number(struct reading *r, struct value *v)
{
    char *end, *real_end;
    bool negative = *r->at == '-';
    v->kind = VALUE_INTEGER;
    v->integer = negative ? (uint64_t)strtoll(r->at, &end, 0) : strtoull(r->at, &end, 0);
    v->real = strtod(r->at, &real_end);
    if (real_end > end && *end == '.') {
        v->kind = VALUE_REAL;
        end = real_end;
    }
    r->at = end;
    if (v->type == 'D') {
        if (!reading_accept(r, ":"))
            return reading_wrong(r, "a decimal is D:scale:digits");
        v->digits = (uint32_t)strtoull(r->at, &end, 0);
        r->at = end;
    }
    return v;
}

static struct value *read_variable(struct reading *r, struct value *v)
{
    const char *start = r->at++;
    const char *name = reading_word(r);
    if (name == NULL)
        return reading_wrong(r, "no name behind $");
    const struct variable *known = variables_find(r->vars, name);
    if (known != NULL && known->is_integer && *r->at != '+') {
        v->kind = VALUE_INTEGER;
        v->integer = known->integer;
        return v;
    }
    if (known != NULL) {
        r->at = start;
        return read_bytes(r, v);
    }
    if (!r->expecting)
        return reading_wrong(r, "a name that is not set");
    v->capture = name;
    if (*r->at != '~')
        return v;
    r->at++;
    if (read_bytes(r, v) != NULL)
        v->kind = VALUE_PATTERN;
    return v;
}

static struct value *read_one(struct reading *r, struct bytes key);

static bool read_key(struct reading *r, struct bytes *key)
{
    struct value quoted = {0};
    if (*r->at == '"' || isdigit((unsigned char)*r->at) || strncmp(r->at, "x\"", 2) == 0) {
        if (read_bytes(r, &quoted) == NULL)
            return false;
        *key = quoted.bytes;
    } else {
        const char *word = reading_word(r);
        if (word == NULL)
            return false;
        *key = bytes_of_string(word);
    }
    return reading_accept(r, "=");
}

/* What stands between brackets, the opening one read already. */
static struct value *read_inside(struct reading *r, struct value *v, char end)
{
    struct value **last = &v->first;
    v->kind = end == '}' ? VALUE_TABLE : VALUE_ARRAY;
    for (;;) {
        reading_skip_blanks(r);
        if (*r->at == end) {
            r->at++;
            return v;
        }
        if (reading_accept(r, "...")) {
            v->open = true;
            continue;
        }
        struct bytes key = {0};
        if (end == '}' && !read_key(r, &key))
            return reading_wrong(r, "a table's entry is key=value");
        struct value *entry = read_one(r, key);
        if (entry == NULL)
            return NULL;
        *last = entry;
        last = &entry->next;
    }
}

static struct value *read_untyped(struct reading *r, struct value *v)
{
    if (reading_accept(r, "*"))
        return v;
    if (reading_accept(r, "ordered{")) {
        v->ordered = true;
        return read_inside(r, v, '}');
    }
    if (reading_accept(r, "{"))
        return read_inside(r, v, '}');
    if (reading_accept(r, "["))
        return read_inside(r, v, ']');
    if (*r->at == '$')
        return read_variable(r, v);
    if (reading_accept(r, "~")) {
        if (read_bytes(r, v) == NULL)
            return NULL;
        v->kind = VALUE_PATTERN;
        return v;
    }
    if (strncmp(r->at, "true", 4) == 0 || strncmp(r->at, "false", 5) == 0) {
        v->kind = VALUE_INTEGER;
        v->integer = *r->at == 't';
        r->at += v->integer == 1 ? 4 : 5;
        if (v->type == 0)
            v->type = 't';
        return v;
    }
    const char *past = r->at + strspn(r->at, "0123456789");
    if ((isdigit((unsigned char)*r->at) && *past != '*') || *r->at == '-')
        return read_number(r, v);
    return read_bytes(r, v);
}

static struct value *read_one(struct reading *r, struct bytes key)
{
    struct value *v = scratch_take(r->scratch, sizeof *v);
    v->key = key;
    if (*r->at != '\0' && strchr("tbBsuIilLfdDSATFVx", *r->at) != NULL) {
        if (r->at[1] == ':') {
            v->type = *r->at;
            r->at += 2;
        } else if (*r->at == 'V') {
            r->at++;
            v->type = 'V';
            v->kind = VALUE_VOID;
            return v;
        }
    }
    return read_untyped(r, v);
}

struct value *value_read(struct reading *r)
{
    return read_one(r, (struct bytes){0});
}
