#define _GNU_SOURCE
#include "broker/admin/metrics_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/admin/metrics_text.h"
#include "codec/table.h"

enum { NONE = UINT32_MAX };

/* A column's share: "statistics.publish" is publish in statistics. */
struct term {
    struct bytes outer, inner; /* borrowed from metrics.def; inner may be empty */
    size_t column;
};

/* Its names, escaped, terminated, one behind the other in text, as the labels of its object want them. */
struct row {
    size_t text;
};

struct metrics_rows {
    enum metrics_object what;
    uint32_t *column_of; /* owned: by number of the metric; NONE: it is not shown */
    size_t columns;
    double *empty; /* owned: a row that has nothing */
    struct term *terms;
    size_t n_terms, terms_capacity;

    struct row *rows; /* owned, and so is what follows */
    size_t n, capacity;
    double *values; /* `columns` a row */
    uint32_t *order;
    size_t n_order;
    char *text;
    size_t text_len, text_capacity;
};

/* The names in a row's text: a queue's and an exchange's virtual host first. */
static const char *const labels[][2] = {
    [METRIC_QUEUE] = {"vhost", "queue"},       [METRIC_INGRESS] = {"queue_vhost", "queue"},
    [METRIC_EXCHANGE] = {"vhost", "exchange"}, [METRIC_CHANNEL] = {"channel", NULL},
    [METRIC_TRAFFIC] = {"channel", "vhost"},   [METRIC_CONNECTION] = {"channel", NULL},
    [METRIC_VHOST] = {"vhost", NULL},
};

enum metrics_object metrics_object_of(const struct metric *m)
{
    static const enum metrics_object objects[] = {
        [METRIC_QUEUE] = METRICS_QUEUES,       [METRIC_INGRESS] = METRICS_QUEUES,
        [METRIC_EXCHANGE] = METRICS_EXCHANGES, [METRIC_CHANNEL] = METRICS_CHANNELS,
        [METRIC_TRAFFIC] = METRICS_CHANNELS,   [METRIC_CONNECTION] = METRICS_CONNECTIONS,
        [METRIC_VHOST] = METRICS_VHOSTS,
    };
    return m->shape < METRIC_QUEUE ? METRICS_OBJECTS : objects[m->shape];
}

/* ---- What is wanted. */

static void add_term(struct metrics_rows *rows, struct bytes source, size_t column)
{
    const uint8_t *dot = source.len > 0 ? memchr(source.at, '.', source.len) : NULL;
    struct term t = {.outer = source, .column = column};
    if (dot != NULL) {
        t.outer.len = (size_t)(dot - source.at);
        t.inner = bytes_of(dot + 1, source.len - t.outer.len - 1);
    }
    if (rows->n_terms == rows->terms_capacity) {
        rows->terms_capacity = alloc_grown(rows->terms_capacity, rows->n_terms + 1);
        rows->terms = alloc_array(rows->terms, rows->terms_capacity, sizeof *rows->terms);
    }
    rows->terms[rows->n_terms++] = t;
}

static void add_column(struct metrics_rows *rows, size_t metric)
{
    const char *source = metrics[metric].source;
    bool may_be_unknown = source[0] == '?';
    rows->column_of[metric] = (uint32_t)rows->columns;
    rows->empty[rows->columns] = may_be_unknown ? NAN : 0;
    for (const char *at = source + may_be_unknown; *at != '\0';) {
        size_t len = strcspn(at, "+");
        add_term(rows, bytes_of(at, len), rows->columns);
        at += len + (at[len] == '+');
    }
    rows->columns++;
}

struct metrics_rows *metrics_rows_create(enum metrics_object what, const bool *wanted)
{
    struct metrics_rows *rows = alloc_zeroed(sizeof *rows);
    rows->what = what;
    rows->column_of = alloc_array(NULL, metrics_count, sizeof *rows->column_of);
    rows->empty = alloc_array(NULL, metrics_count, sizeof *rows->empty);
    for (size_t i = 0; i < metrics_count; i++) {
        rows->column_of[i] = NONE;
        if (wanted[i] && metrics_object_of(&metrics[i]) == what)
            add_column(rows, i);
    }
    return rows;
}

void metrics_rows_destroy(struct metrics_rows *rows)
{
    if (rows == NULL)
        return;
    free(rows->column_of);
    free(rows->empty);
    free(rows->terms);
    free(rows->rows);
    free(rows->values);
    free(rows->order);
    free(rows->text);
    free(rows);
}

/* ---- Taking. */

static double number_of(const struct field *f)
{
    if (f->type == 't')
        return f->boolean;
    if (f->type == 'd' || f->type == 'f')
        return f->real;
    if (f->type == 'T')
        return (double)f->timestamp;
    return field_is_integer(f) ? (double)f->integer : 0;
}

/* What counts towards a column is added to what is there, which may be unknown. */
static void take_field(const struct metrics_rows *rows, struct bytes outer, const struct field *f, double *values)
{
    bool is_inner = outer.len > 0;
    for (size_t i = 0; i < rows->n_terms; i++) {
        const struct term *t = &rows->terms[i];
        if (!bytes_equal(t->outer, is_inner ? outer : f->key) || (is_inner && !bytes_equal(t->inner, f->key)) ||
            (!is_inner && t->inner.len > 0))
            continue;
        double *value = &values[t->column];
        *value = (isnan(*value) ? 0 : *value) + number_of(f);
    }
}

static void take_fields(const struct metrics_rows *rows, struct bytes row, double *values)
{
    struct field f, inner;
    for (struct cursor c = cursor_over(row); table_next(&c, &f);) {
        if (f.type != 'F')
            take_field(rows, BYTES(""), &f, values);
        else if (bytes_equal(f.key, BYTES("statistics")))
            for (struct cursor in = cursor_over(f.bytes); table_next(&in, &inner);)
                take_field(rows, f.key, &inner, values);
    }
}

static void add_text(struct metrics_rows *rows, struct bytes name)
{
    size_t room = name.len * METRICS_ESCAPE_MAX + 1;
    if (rows->text_capacity - rows->text_len < room) {
        rows->text_capacity = alloc_grown(rows->text_capacity, rows->text_len + room);
        rows->text = alloc_array(rows->text, rows->text_capacity, 1);
    }
    rows->text_len = (size_t)(metrics_text_escape(rows->text + rows->text_len, name) - rows->text) + 1;
}

static void add_channel(struct metrics_rows *rows, struct bytes row)
{
    struct field number;
    bool has = table_find(row, BYTES("number"), &number) && field_is_integer(&number);
    char *name =
        str_format("%.*s (%lld)", BYTES_ARG(table_find_string(row, "connection")), has ? (long long)number.integer : 0);
    add_text(rows, bytes_of_string(name));
    free(name);
}

static void add_names(struct metrics_rows *rows, struct bytes row)
{
    struct bytes vhost = table_find_string(row, "vhost");
    bool is_in_vhost = rows->what == METRICS_QUEUES || rows->what == METRICS_EXCHANGES;
    if (is_in_vhost)
        add_text(rows, vhost);
    if (rows->what == METRICS_CHANNELS)
        add_channel(rows, row);
    else
        add_text(rows, table_find_string(row, "name"));
    if (!is_in_vhost)
        add_text(rows, vhost);
}

static double number_in(struct bytes row, const char *column)
{
    struct field f;
    return table_find(row, bytes_of_string(column), &f) ? number_of(&f) : (double)NAN;
}

/* What follows from another column, or from there being a row at all. */
static double derived(const struct metrics_rows *rows, struct bytes column, struct bytes row)
{
    const double thousand = 1000;
    if (bytes_equal(column, BYTES("is_running")) && rows->what == METRICS_VHOSTS)
        return 1;
    if (bytes_equal(column, BYTES("head_message_age")))
        return number_in(row, "head_message_age_ms") / thousand;
    if (bytes_equal(column, BYTES("oldest_unacked_age")))
        return number_in(row, "oldest_unacked_age_ms") / thousand;
    return NAN;
}

static void derive(const struct metrics_rows *rows, struct bytes row, double *values)
{
    for (size_t i = 0; i < rows->n_terms; i++) {
        double value = derived(rows, rows->terms[i].outer, row);
        if (!isnan(value))
            values[rows->terms[i].column] = value;
    }
}

void metrics_rows_take(struct metrics_rows *rows, struct bytes row)
{
    if (rows->n == rows->capacity) {
        rows->capacity = alloc_grown(rows->capacity, rows->n + 1);
        rows->rows = alloc_array(rows->rows, rows->capacity, sizeof *rows->rows);
        rows->values = alloc_array(rows->values, rows->capacity * (rows->columns + 1), sizeof *rows->values);
    }
    double *values = rows->values + rows->n * rows->columns;
    memcpy(values, rows->empty, rows->columns * sizeof *values);
    rows->rows[rows->n++].text = rows->text_len;
    add_names(rows, row);
    take_fields(rows, row, values);
    derive(rows, row, values);
}

/* ---- Order. */

static const char *first_name(const struct metrics_rows *rows, uint32_t i)
{
    return rows->text + rows->rows[i].text;
}

static const char *second_name(const struct metrics_rows *rows, uint32_t i)
{
    const char *first = first_name(rows, i);
    return first + strlen(first) + 1;
}

static int compare_rows(const void *one, const void *two, void *arg)
{
    const struct metrics_rows *rows = arg;
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)two;
    int by_first = strcmp(first_name(rows, a), first_name(rows, b));
    return by_first != 0 ? by_first : strcmp(second_name(rows, a), second_name(rows, b));
}

void metrics_rows_sort(struct metrics_rows *rows)
{
    rows->order = alloc_array(rows->order, rows->n + 1, sizeof *rows->order);
    for (size_t i = 0; i < rows->n; i++)
        rows->order[i] = (uint32_t)i;
    qsort_r(rows->order, rows->n, sizeof *rows->order, compare_rows, rows);
    rows->n_order = 0;
    for (size_t i = 0; i < rows->n; i++)
        if (rows->n_order == 0 || compare_rows(&rows->order[rows->n_order - 1], &rows->order[i], rows) != 0)
            rows->order[rows->n_order++] = rows->order[i];
}

size_t metrics_rows_count(const struct metrics_rows *rows)
{
    return rows->n_order;
}

size_t metrics_rows_bytes(const struct metrics_rows *rows)
{
    return rows->text_capacity +
           rows->capacity * (sizeof *rows->rows + sizeof *rows->order + (rows->columns + 1) * sizeof *rows->values);
}

/* ---- Printing. */

size_t metrics_rows_print(const struct metrics_rows *rows, size_t metric, bool is_detailed, size_t from,
                          struct evbuffer *to, size_t bytes)
{
    const struct metric *m = &metrics[metric];
    const char *const *label = labels[m->shape];
    char name[METRICS_NAME_MAX], *shown = NULL;
    size_t room = 0;
    metrics_text_name(name, m->name, is_detailed);
    if (from == 0)
        metrics_text_head(to, name, m->type, m->help);
    for (; from < rows->n_order && evbuffer_get_length(to) < bytes; from++) {
        uint32_t i = rows->order[from];
        const char *first = first_name(rows, i), *second = second_name(rows, i);
        size_t need = strlen(first) + strlen(second) + METRICS_NAME_MAX;
        if (room < need) {
            room = alloc_grown(room, need);
            shown = alloc_array(shown, room, 1);
        }
        if (label[1] != NULL)
            snprintf(shown, room, "%s=\"%s\",%s=\"%s\"", label[0], first, label[1], second);
        else
            snprintf(shown, room, "%s=\"%s\"", label[0], first);
        metrics_text_series(to, name, shown, rows->values[i * rows->columns + rows->column_of[metric]]);
    }
    free(shown);
    return from;
}
