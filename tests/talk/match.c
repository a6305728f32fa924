/* value.h's other half: values on the wire, values against what came, what came in print. */
#include <ctype.h>
#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "tests/talk/value.h"

/* ---- Onto the wire. */

size_t value_size(const struct value *v)
{
    size_t size = 16 + v->key.len + v->bytes.len;
    for (const struct value *entry = v->first; entry != NULL; entry = entry->next)
        size += value_size(entry);
    return size;
}

static char letter_of(const struct value *v)
{
    if (v->type != 0)
        return v->type;
    switch (v->kind) {
    case VALUE_TABLE:
        return 'F';
    case VALUE_ARRAY:
        return 'A';
    case VALUE_INTEGER:
        return 'I';
    case VALUE_REAL:
        return 'd';
    case VALUE_ANY:
    case VALUE_BYTES:
    case VALUE_PATTERN:
    case VALUE_VOID:
        break;
    }
    return 'S';
}

static void put_real(const struct value *v, struct pen *p, size_t width)
{
    double wide = v->kind == VALUE_REAL ? v->real : (double)(int64_t)v->integer;
    float narrow = (float)wide;
    uint64_t bits = 0;
    if (width == 8) {
        memcpy(&bits, &wide, 8);
    } else {
        uint32_t half;
        memcpy(&half, &narrow, 4);
        bits = half;
    }
    pen_uint(p, bits, width);
}

static void put_value(const struct value *v, struct pen *p)
{
    char letter = letter_of(v);
    uint8_t *mark;
    pen_u8(p, (uint8_t)letter);
    switch (letter) {
    case 't':
    case 'b':
    case 'B':
        pen_uint(p, v->integer, 1);
        break;
    case 's':
    case 'u':
        pen_uint(p, v->integer, 2);
        break;
    case 'I':
    case 'i':
        pen_uint(p, v->integer, 4);
        break;
    case 'l':
    case 'L':
    case 'T':
        pen_u64(p, v->integer);
        break;
    case 'f':
        put_real(v, p, 4);
        break;
    case 'd':
        put_real(v, p, 8);
        break;
    case 'D':
        pen_u8(p, (uint8_t)v->integer);
        pen_u32(p, v->digits);
        break;
    case 'A':
    case 'F':
        mark = pen_length(p);
        value_put_inside(v, p);
        pen_fill(p, mark);
        break;
    case 'V':
        break;
    default:
        pen_longstr(p, v->bytes);
    }
}

void value_put_inside(const struct value *v, struct pen *p)
{
    for (const struct value *entry = v->first; entry != NULL; entry = entry->next) {
        if (v->kind == VALUE_TABLE)
            pen_shortstr(p, entry->key);
        put_value(entry, p);
    }
}

/* ---- Against what came. */

bool value_match_integer(const struct value *v, struct variables *vars, uint64_t came)
{
    if (v->capture != NULL)
        variables_set_integer(vars, v->capture, came);
    return v->kind == VALUE_ANY || (v->kind == VALUE_INTEGER && v->integer == came);
}

static bool match_pattern(const struct value *v, struct bytes came)
{
    struct scratch scratch = {0};
    size_t room = v->bytes.len + 8;
    char *pattern = scratch_take(&scratch, room);
    snprintf(pattern, room, "^(%.*s)$", BYTES_ARG(v->bytes));
    char *text = scratch_string(&scratch, came);
    regex_t re;
    bool ok = false;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) == 0) {
        ok = strlen(text) == came.len && regexec(&re, text, 0, NULL, 0) == 0;
        regfree(&re);
    }
    scratch_fini(&scratch);
    return ok;
}

bool value_match_bytes(const struct value *v, struct variables *vars, struct bytes came)
{
    if (v->kind == VALUE_PATTERN && !match_pattern(v, came))
        return false;
    if (v->capture != NULL)
        variables_set_bytes(vars, v->capture, came);
    if (v->kind == VALUE_INTEGER) { /* $n that was captured as a number */
        char digits[24];
        snprintf(digits, sizeof digits, "%" PRIu64, v->integer);
        return bytes_equal(bytes_of_string(digits), came);
    }
    return v->kind == VALUE_ANY || v->kind == VALUE_PATTERN || (v->kind == VALUE_BYTES && bytes_equal(v->bytes, came));
}

static bool match_array(const struct value *v, struct variables *vars, struct bytes came);

static bool match_field(const struct value *v, struct variables *vars, const struct field *f)
{
    if (v->kind == VALUE_ANY && v->type == 0) {
        if (v->capture != NULL)
            variables_set_bytes(vars, v->capture, f->bytes);
        return true;
    }
    char letter = letter_of(v);
    if (v->kind == VALUE_PATTERN && v->type == 0)
        letter = 'S';
    if (letter != f->type)
        return false;
    if (v->kind == VALUE_ANY)
        return true;
    if (letter == 'S' || letter == 'x')
        return value_match_bytes(v, vars, f->bytes);
    if (letter == 'F')
        return value_match_table(v, vars, f->bytes);
    if (letter == 'A')
        return match_array(v, vars, f->bytes);
    if (letter == 't')
        return f->boolean == (v->integer != 0);
    /* The rest is the same when it is encoded alike. */
    uint8_t room[16];
    struct pen p = pen_over(room, sizeof room);
    put_value(v, &p);
    struct bytes written = pen_written(&p);
    return bytes_equal(bytes_of(written.at + 1, written.len - 1), f->raw);
}

static bool match_array(const struct value *v, struct variables *vars, struct bytes came)
{
    struct cursor c = cursor_over(came);
    struct field f;
    const struct value *entry = v->first;
    for (; entry != NULL; entry = entry->next)
        if (!table_next_in_array(&c, &f) || !match_field(entry, vars, &f))
            return false;
    return v->open || cursor_left(&c) == 0;
}

static bool match_ordered(const struct value *v, struct variables *vars, struct bytes came)
{
    struct cursor c = cursor_over(came);
    struct field f;
    for (const struct value *entry = v->first; entry != NULL; entry = entry->next)
        if (!table_next(&c, &f) || !bytes_equal(f.key, entry->key) || !match_field(entry, vars, &f))
            return false;
    return v->open || cursor_left(&c) == 0;
}

bool value_match_table(const struct value *v, struct variables *vars, struct bytes came)
{
    if (v->kind != VALUE_TABLE)
        return v->kind == VALUE_ANY;
    if (v->ordered)
        return match_ordered(v, vars, came);
    unsigned wanted = 0, there = 0;
    for (const struct value *entry = v->first; entry != NULL; entry = entry->next, wanted++) {
        struct cursor c = cursor_over(came);
        struct field f;
        bool found = false;
        while (!found && table_next(&c, &f))
            found = bytes_equal(f.key, entry->key) && match_field(entry, vars, &f);
        if (!found)
            return false;
    }
    struct cursor c = cursor_over(came);
    struct field f;
    while (table_next(&c, &f))
        there++;
    return v->open || wanted == there;
}

/* ---- In print. */

enum { PRINT_MAX = 400 };

void print_bytes(FILE *to, struct bytes b)
{
    bool same = b.len > 20;
    for (size_t i = 1; i < b.len && same; i++)
        same = b.at[i] == b.at[0];
    if (same)
        fprintf(to, "%zu*", b.len);
    size_t n = same ? 1 : b.len < PRINT_MAX ? b.len : PRINT_MAX;
    fputc('"', to);
    for (size_t i = 0; i < n; i++) {
        if (b.at[i] == '"' || b.at[i] == '\\')
            fprintf(to, "\\%c", b.at[i]);
        else if (b.at[i] == '\n')
            fputs("\\n", to);
        else if (b.at[i] < ' ' || b.at[i] >= 0x7f)
            fprintf(to, "\\x%02x", b.at[i]);
        else
            fputc(b.at[i], to);
    }
    fputc('"', to);
    if (!same && n < b.len)
        fprintf(to, "...(%zu bytes)", b.len);
}

static void print_entries(FILE *to, struct bytes b, bool is_array);

static void print_field(FILE *to, const struct field *f)
{
    fprintf(to, "%c", f->type);
    if (f->type == 'V')
        return;
    fputc(':', to);
    if (strchr("Sx", f->type) != NULL)
        print_bytes(to, f->bytes);
    else if (f->type == 'F' || f->type == 'A')
        print_entries(to, f->bytes, f->type == 'A');
    else if (f->type == 't')
        fputs(f->boolean ? "true" : "false", to);
    else if (f->type == 'T')
        fprintf(to, "%" PRIu64, f->timestamp);
    else if (f->type == 'D')
        fprintf(to, "%u:%u", f->decimal.scale, f->decimal.digits);
    else if (f->type == 'f' || f->type == 'd')
        fprintf(to, "%.17g", f->real);
    else
        fprintf(to, "%" PRId64, f->integer);
}

static void print_entries(FILE *to, struct bytes b, bool is_array)
{
    struct cursor c = cursor_over(b);
    struct field f;
    const char *gap = "";
    fputc(is_array ? '[' : '{', to);
    while (is_array ? table_next_in_array(&c, &f) : table_next(&c, &f)) {
        fputs(gap, to);
        gap = " ";
        bool plain = f.key.len > 0;
        for (size_t i = 0; i < f.key.len; i++)
            plain = plain && (isalnum(f.key.at[i]) || f.key.at[i] == '-' || f.key.at[i] == '_');
        if (!is_array && plain)
            fprintf(to, "%.*s=", BYTES_ARG(f.key));
        else if (!is_array) {
            print_bytes(to, f.key);
            fputc('=', to);
        }
        print_field(to, &f);
    }
    fputc(is_array ? ']' : '}', to);
}

void print_table(FILE *to, struct bytes table)
{
    print_entries(to, table, false);
}
