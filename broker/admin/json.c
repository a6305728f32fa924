#define _GNU_SOURCE
#include "broker/admin/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/real.h"
#include "base/str.h"

void json_set(json_t *object, const char *key, json_t *value)
{
    CHECK(json_object_set_new(object, key, value) == 0);
}

void json_add(json_t *array, json_t *value)
{
    CHECK(json_array_append_new(array, value) == 0);
}

struct bytes json_text(const json_t *string)
{
    return bytes_of(json_string_value(string), json_string_length(string));
}

struct bytes json_text_in(const json_t *object, const char *key)
{
    return json_text(json_object_get(object, key));
}

void json_wipe(json_t *string)
{
    union {
        const char *text;
        char *own; /* it is this value's */
    } secret = {.text = json_string_value(string)};
    if (secret.text != NULL)
        explicit_bzero(secret.own, json_string_length(string));
}

/* Jansson's iterators want what they do not change to be changeable. */
static json_t *changeable(const json_t *value)
{
    return (json_t *)(uintptr_t)value;
}

/* ---- From a table. */

/* The caller frees it. */
static char *escaped(struct bytes b)
{
    static const char digits[] = "0123456789abcdef";
    enum { ESCAPE = 4, FIRST_PRINTABLE = 0x20, LAST_PRINTABLE = 0x7e, LOW = 15 };
    char *text = alloc(b.len * ESCAPE + 1), *to = text;
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.at[i];
        if (c >= FIRST_PRINTABLE && c <= LAST_PRINTABLE && c != '\\') {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = digits[c >> 4];
        *to++ = digits[c & LOW];
    }
    *to = '\0';
    return text;
}

json_t *json_of_text(struct bytes text)
{
    json_t *whole = json_stringn(text.len == 0 ? "" : (const char *)text.at, text.len);
    if (whole != NULL)
        return whole;
    char *shown = escaped(text);
    whole = json_string(shown);
    free(shown);
    CHECK(whole != NULL);
    return whole;
}

static json_t *real_of(double real)
{
    if (isnan(real))
        return json_string("NaN");
    if (isinf(real))
        return json_string(real < 0 ? "-Infinity" : "Infinity");
    return json_real(real);
}

static json_t *scalar_of(const struct field *f)
{
    switch (f->type) {
    case 't':
        return json_boolean(f->boolean);
    case 'S':
    case 'x':
        return json_of_text(f->bytes);
    case 'T':
        return json_integer((json_int_t)f->timestamp);
    case 'D':
        return real_of(f->decimal.digits / real_power(10, f->decimal.scale));
    case 'f':
    case 'd':
        return real_of(f->real);
    case 'V':
        return json_null();
    default:
        return json_integer((json_int_t)f->integer);
    }
}

/* A table or an array that is being read, and where what is in it goes. */
struct level {
    struct cursor c;
    json_t *to; /* borrowed, from the level below */
    bool is_array;
};

/* Takes the value.  False: there is one of that key already, and it is dropped. */
static bool level_put(const struct level *l, const struct field *f, json_t *value)
{
    if (l->is_array) {
        json_add(l->to, value);
        return true;
    }
    /* Jansson has no keys with a NUL in them, or that are not UTF-8. */
    char *key = str_copy(f->key);
    if (strlen(key) != f->key.len || (json_object_get(l->to, key) == NULL && json_object_set(l->to, key, value) != 0)) {
        free(key);
        key = escaped(f->key);
    }
    bool is_new = json_object_get(l->to, key) == NULL || json_object_get(l->to, key) == value;
    if (is_new)
        json_set(l->to, key, value);
    else
        json_decref(value);
    free(key);
    return is_new;
}

static void fill_from(json_t *to, struct bytes inner, bool is_array)
{
    struct level levels[TABLE_DEPTH_MAX + 1];
    unsigned depth = 1;
    levels[0] = (struct level){.c = cursor_over(inner), .to = to, .is_array = is_array};
    while (depth > 0) {
        const struct level *l = &levels[depth - 1];
        struct cursor *c = &levels[depth - 1].c;
        struct field f;
        if (!(l->is_array ? table_next_in_array(c, &f) : table_next(c, &f))) {
            depth--;
            continue;
        }
        if (f.type != 'F' && f.type != 'A') {
            level_put(l, &f, scalar_of(&f));
            continue;
        }
        CHECK(depth <= TABLE_DEPTH_MAX); /* it was checked */
        json_t *value = f.type == 'A' ? json_array() : json_object();
        if (level_put(l, &f, value))
            levels[depth++] = (struct level){.c = cursor_over(f.bytes), .to = value, .is_array = f.type == 'A'};
    }
}

json_t *json_of_table(struct bytes table)
{
    json_t *object = json_object();
    fill_from(object, table, false);
    return object;
}

json_t *json_of_value(const struct field *f)
{
    if (f->type != 'F' && f->type != 'A')
        return scalar_of(f);
    json_t *value = f->type == 'A' ? json_array() : json_object();
    fill_from(value, f->bytes, f->type == 'A');
    return value;
}

/* ---- To a table. */

/* An object or an array that is being written. */
struct writing {
    json_t *from;  /* borrowed */
    void *at;      /* the object's iterator … */
    size_t index;  /* … or the array's */
    uint8_t *mark; /* where its length goes; NULL: the outermost, which has none */
};

static void put_scalar(struct pen *p, struct bytes key, bool in_array, const json_t *value)
{
    uint8_t raw[sizeof(uint64_t)];
    struct pen r = pen_over(raw, sizeof raw);
    struct field f = {.key = key, .type = 'V'};
    double real;
    uint64_t bits;
    switch (json_typeof(value)) {
    case JSON_STRING:
        if (in_array)
            table_put_string_in_array(p, json_text(value));
        else
            table_put_string(p, key, json_text(value));
        return;
    case JSON_INTEGER:
        f.type = 'l';
        pen_u64(&r, (uint64_t)json_integer_value(value));
        break;
    case JSON_REAL:
        f.type = 'd';
        real = json_real_value(value);
        memcpy(&bits, &real, sizeof bits);
        pen_u64(&r, bits);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        f.type = 't';
        pen_u8(&r, json_is_true(value));
        break;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
    default:
        break;
    }
    f.raw = pen_written(&r);
    if (in_array)
        table_put_field_in_array(p, &f);
    else
        table_put_field(p, &f);
}

/* The next member, or NULL. */
static json_t *writing_next(struct writing *w, struct bytes *key)
{
    *key = (struct bytes){0};
    if (json_is_array(w->from))
        return json_array_get(w->from, w->index++);
    if (w->at == NULL)
        return NULL;
    *key = bytes_of_string(json_object_iter_key(w->at));
    json_t *value = json_object_iter_value(w->at);
    w->at = json_object_iter_next(w->from, w->at);
    return value;
}

static struct writing writing_of(json_t *from, uint8_t *mark)
{
    return (struct writing){.from = from, .at = json_is_object(from) ? json_object_iter(from) : NULL, .mark = mark};
}

/* Writes what is in `from`, without a length of its own before it. */
static bool write_members(struct pen *p, json_t *from, char **error)
{
    struct writing levels[TABLE_DEPTH_MAX];
    unsigned n = 1;
    levels[0] = writing_of(from, NULL);
    while (n > 0) {
        struct writing *w = &levels[n - 1];
        struct bytes key;
        json_t *value = writing_next(w, &key);
        bool in_array = json_is_array(w->from);
        if (value == NULL) {
            if (w->mark != NULL)
                table_close(p, w->mark);
            n--;
        } else if (key.len > JSON_KEY_MAX) {
            *error = str_format("a key has more than %d bytes", JSON_KEY_MAX);
            return false;
        } else if (json_is_object(value) || json_is_array(value)) {
            if (n >= TABLE_DEPTH_MAX) {
                *error = str_format("nested deeper than %d levels", TABLE_DEPTH_MAX);
                return false;
            }
            char type = json_is_array(value) ? 'A' : 'F';
            uint8_t *inner = in_array ? table_open_in_array(p, type) : table_open(p, key, type);
            levels[n++] = writing_of(value, inner);
        } else {
            put_scalar(p, key, in_array, value);
        }
        if (p->full || pen_written(p).len > TABLE_SIZE_MAX) {
            *error = str_copy(BYTES("too large"));
            return false;
        }
    }
    return true;
}

bool json_to_table(struct pen *p, const json_t *object, char **error)
{
    if (!json_is_object(object)) {
        *error = str_copy(BYTES("not an object"));
        return false;
    }
    return write_members(p, changeable(object), error);
}

void *json_make_table(const json_t *object, struct bytes *table, char **error)
{
    enum { FIRST = 4096, TIMES = 16 };
    for (size_t room = FIRST;; room *= TIMES) {
        void *at = alloc(room);
        struct pen p = pen_over(at, room);
        if (json_to_table(&p, object, error)) {
            *table = pen_written(&p);
            return at;
        }
        free(at);
        if (!p.full || room > TABLE_SIZE_MAX)
            return NULL;
        free(*error);
        *error = NULL;
    }
}

/* ---- Reading. */

static bool is_too_deep(json_t *document)
{
    struct writing levels[JSON_NESTING_MAX];
    unsigned n = 0;
    if (json_is_object(document) || json_is_array(document))
        levels[n++] = writing_of(document, NULL);
    while (n > 0) {
        struct bytes key;
        json_t *value = writing_next(&levels[n - 1], &key);
        if (value == NULL) {
            n--;
        } else if (json_is_object(value) || json_is_array(value)) {
            if (n == JSON_NESTING_MAX)
                return true;
            levels[n++] = writing_of(value, NULL);
        }
    }
    return false;
}

json_t *json_read(struct bytes text, char **error)
{
    json_error_t why;
    json_t *document = json_loadb(text.len == 0 ? "" : (const char *)text.at, text.len,
                                  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (document == NULL) {
        *error = str_format("%d:%d: %s", why.line, why.column, why.text);
        return NULL;
    }
    if (is_too_deep(document)) {
        json_decref(document);
        *error = str_format("nested deeper than %d levels", JSON_NESTING_MAX);
        return NULL;
    }
    return document;
}
