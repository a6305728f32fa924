/* Tables as rabbitmqctl prints them: tabs, JSON, CSV, or boxes; a row goes out as it comes, but for boxes, which must
 * know all widths first.
 *
 * What a name holds cannot harm a terminal or a line: control characters are shown as \xNN outside of JSON.
 */
#ifndef BROKER_CTL_OUTPUT_H
#define BROKER_CTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV, FORMAT_PRETTY };

/* How a value is shown. */
enum kind {
    KIND_PLAIN, /* a string as it is, a number, true or false; null is empty */
    KIND_LIST,  /* [administrator, monitoring] */
    KIND_MAP,   /* [{rabbit@host, running}] */
    KIND_TABLE, /* an AMQP table: JSON, and [] when it is empty */
    KIND_TEXT,  /* JSON as text, in JSON a string that holds it: what scripts parse twice */
};

struct column {
    const char *name;
    const char *path; /* in the API's object, with dots; NULL: as the name; "=text": always that */
    enum kind kind;
};

enum { TABLE_COLUMNS_MAX = 64 };

struct table;

/* The columns stay with the caller.  Headers are printed before the first row: an empty table is nothing. */
struct table *table_create(FILE *to, enum format format, bool has_headers, const struct column *const *columns,
                           size_t n);

/* A row of an object of the API. */
void table_row(struct table *t, const json_t *object);

/* Prints what is left. */
void table_destroy(struct table *t);

/* The words of --formatter; false: there is no such format. */
bool format_read(const char *name, enum format *format);

/* A cell's text; the caller gives it to free(). */
char *output_cell(const json_t *value, enum kind kind);

/* Prints text with its control characters as \xNN. */
void output_text(FILE *to, const char *text);

/* True: a JSON text can hold it. */
bool output_is_utf8(const char *text);

/* Prints JSON in one line, and the line's end. */
void output_json(FILE *to, const json_t *value);
#endif
