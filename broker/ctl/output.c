#define _GNU_SOURCE
#include "broker/ctl/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"

enum { REAL_DIGITS = 15, COMPACT = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS) };

struct table {
    FILE *to; /* borrowed */
    enum format format;
    bool has_headers;
    const struct column *columns[TABLE_COLUMNS_MAX]; /* borrowed */
    size_t n_columns, n_rows;
    char **cells; /* owned, of FORMAT_PRETTY: n_rows times n_columns */
    size_t room;
};

bool format_read(const char *name, enum format *format)
{
    static const char *const names[] = {"table", "json", "csv", "pretty_table"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            *format = (enum format)i;
            return true;
        }
    }
    /* Others are for people who read: a plain table serves them. */
    *format = FORMAT_TABLE;
    return strcmp(name, "string") == 0 || strcmp(name, "report") == 0 || strcmp(name, "erlang") == 0;
}

/* ---- Values. */

static json_t *find(const json_t *object, const char *path)
{
    const char *dot;
    while (object != NULL && (dot = strchr(path, '.')) != NULL) {
        char *key = str_format("%.*s", (int)(dot - path), path);
        object = json_object_get(object, key);
        free(key);
        path = dot + 1;
    }
    return object == NULL ? NULL : json_object_get(object, path);
}

/* The value at the column's path: a new reference, never NULL. */
static json_t *value_of(const json_t *object, const struct column *c)
{
    const char *path = c->path != NULL ? c->path : c->name;
    json_t *value = path[0] == '=' ? json_string(path + 1) : json_incref(find(object, path));
    return value != NULL ? value : json_null();
}

/* The next character's bytes that are shown as \xNN, or 0.  U+0080 to U+009F are controls too. */
static size_t control_at(const char *s)
{
    unsigned char c = (unsigned char)s[0], next = c == '\0' ? 0 : (unsigned char)s[1];
    if (c < ' ' || c == 0x7F)
        return 1;
    return c == 0xC2 && next >= 0x80 && next < 0xA0 ? 2 : 0;
}

void output_text(FILE *to, const char *text)
{
    while (*text != '\0') {
        size_t n = control_at(text);
        if (n == 0)
            putc(*text++, to);
        for (; n > 0; n--)
            fprintf(to, "\\x%02X", (unsigned char)*text++);
    }
}

/* Its elements with a comma between, in brackets. */
static char *list_text(const json_t *list)
{
    char *text = str_format("[");
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        char *cell = output_cell(item, KIND_PLAIN), *longer = str_format("%s%s%s", text, i > 0 ? ", " : "", cell);
        free(cell);
        free(text);
        text = longer;
    }
    char *whole = str_format("%s]", text);
    free(text);
    return whole;
}

static char *map_text(const json_t *map)
{
    char *text = str_format("[");
    const char *key;
    json_t *item;
    bool is_first = true;
    json_object_foreach((json_t *)(uintptr_t)map, key, item)
    {
        char *cell = output_cell(item, KIND_PLAIN);
        char *longer = str_format("%s%s{%s, %s}", text, is_first ? "" : ", ", key, cell);
        free(cell);
        free(text);
        text = longer;
        is_first = false;
    }
    char *whole = str_format("%s]", text);
    free(text);
    return whole;
}

static char *dump(const json_t *value)
{
    char *text = json_dumps(value, COMPACT);
    CHECK(text != NULL);
    return text;
}

char *output_cell(const json_t *value, enum kind kind)
{
    bool is_empty = json_is_null(value) || (!json_is_string(value) && !json_is_number(value) &&
                                            json_object_size(value) == 0 && json_array_size(value) == 0);
    if (kind == KIND_TEXT)
        return dump(value);
    if (kind == KIND_LIST && json_is_array(value))
        return list_text(value);
    if (kind == KIND_MAP && json_is_object(value))
        return map_text(value);
    if (kind == KIND_TABLE && is_empty && !json_is_boolean(value))
        return str_format("[]");
    if (json_is_null(value))
        return str_format("%s", "");
    return json_is_string(value) ? str_format("%s", json_string_value(value)) : dump(value);
}

void output_json(FILE *to, const json_t *value)
{
    char *text = dump(value);
    fputs(text, to);
    putc('\n', to);
    free(text);
}

/* ---- Tables. */

struct table *table_create(FILE *to, enum format format, bool has_headers, const struct column *const *columns,
                           size_t n)
{
    CHECK(n > 0 && n <= TABLE_COLUMNS_MAX);
    struct table *t = alloc_zeroed(sizeof *t);
    *t = (struct table){.to = to, .format = format, .has_headers = has_headers, .n_columns = n};
    memcpy(t->columns, columns, n * sizeof(void *));
    if (format == FORMAT_JSON)
        fputs("[\n", to);
    return t;
}

/* In quotes; quotes in it are doubled. */
static void print_csv_cell(FILE *to, char *text)
{
    putc('"', to);
    for (char *part; (part = strsep(&text, "\"")) != NULL;) {
        output_text(to, part);
        if (text != NULL)
            fputs("\"\"", to);
    }
    putc('"', to);
}

static void print_line(const struct table *t, const json_t *object)
{
    bool is_csv = t->format == FORMAT_CSV;
    for (size_t i = 0; i < t->n_columns; i++) {
        json_t *value = object == NULL ? json_string(t->columns[i]->name) : value_of(object, t->columns[i]);
        char *cell = output_cell(value, object == NULL ? KIND_PLAIN : t->columns[i]->kind);
        if (i > 0)
            putc(is_csv ? ',' : '\t', t->to);
        if (is_csv)
            print_csv_cell(t->to, cell);
        else
            output_text(t->to, cell);
        free(cell);
        json_decref(value);
    }
    putc('\n', t->to);
}

/* null is an empty string, as programs are used to. */
static void print_json(const struct table *t, const json_t *object)
{
    json_t *row = json_object();
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = t->columns[i];
        json_t *value = value_of(object, c);
        char *text = c->kind == KIND_TEXT ? dump(value) : NULL;
        if (text != NULL || json_is_null(value)) {
            json_decref(value);
            value = json_string(text != NULL ? text : "");
        }
        free(text);
        json_object_set_new(row, c->name, value);
    }
    if (t->n_rows > 0)
        putc(',', t->to);
    output_json(t->to, row);
    json_decref(row);
}

/* A cell of a box: control characters shown, so that its width is known. */
static char *shown_text(const json_t *object, const struct column *c)
{
    json_t *value = object == NULL ? json_string(c->name) : value_of(object, c);
    char *cell = output_cell(value, object == NULL ? KIND_PLAIN : c->kind), *shown = NULL;
    size_t len;
    FILE *f = open_memstream(&shown, &len);
    CHECK(f != NULL);
    output_text(f, cell);
    fclose(f);
    free(cell);
    json_decref(value);
    return shown;
}

static void keep_row(struct table *t, const json_t *object)
{
    size_t used = t->n_rows * t->n_columns;
    if (used + t->n_columns > t->room) {
        t->room = alloc_grown(t->room, used + t->n_columns);
        t->cells = alloc_array(t->cells, t->room, sizeof t->cells[0]);
    }
    for (size_t i = 0; i < t->n_columns; i++)
        t->cells[used + i] = shown_text(object, t->columns[i]);
}

void table_row(struct table *t, const json_t *object)
{
    bool needs_headers = t->n_rows == 0 && t->has_headers;
    if (needs_headers && t->format == FORMAT_PRETTY) {
        keep_row(t, NULL);
        t->n_rows++;
    } else if (needs_headers && t->format != FORMAT_JSON) {
        print_line(t, NULL);
    }
    if (t->format == FORMAT_JSON)
        print_json(t, object);
    else if (t->format == FORMAT_PRETTY)
        keep_row(t, object);
    else
        print_line(t, object);
    t->n_rows++;
}

/* ---- Boxes. */

/* Characters, not bytes. */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void print_rule(const struct table *t, const size_t *widths, const char *left, const char *cross,
                       const char *right)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        fputs(i == 0 ? left : cross, t->to);
        for (size_t n = 0; n < widths[i] + 2; n++)
            fputs("─", t->to);
    }
    fprintf(t->to, "%s\n", right);
}

static void print_boxes(const struct table *t)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) {
        size_t width = width_of(t->cells[i]), *widest = &widths[i % t->n_columns];
        *widest = width > *widest ? width : *widest;
    }
    print_rule(t, widths, "┌", "┬", "┐");
    for (size_t row = 0; row < t->n_rows; row++) {
        if (row > 0)
            print_rule(t, widths, "├", "┼", "┤");
        for (size_t i = 0; i < t->n_columns; i++) {
            const char *cell = t->cells[row * t->n_columns + i];
            fprintf(t->to, "│ %s%*s ", cell, (int)(widths[i] - width_of(cell)), "");
        }
        fputs("│\n", t->to);
    }
    print_rule(t, widths, "└", "┴", "┘");
}

void table_destroy(struct table *t)
{
    if (t == NULL)
        return;
    if (t->format == FORMAT_JSON)
        fputs("]\n", t->to);
    if (t->format == FORMAT_PRETTY && t->n_rows > 0) {
        print_boxes(t);
        for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
            free(t->cells[i]);
    }
    free(t->cells);
    free(t);
}

bool output_is_utf8(const char *text)
{
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}
