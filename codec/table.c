#include "codec/table.h"

#include "base/map.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

enum sort { NO_SORT, BOOLEAN, SIGNED, UNSIGNED, REAL, DECIMAL, TIMESTAMP, SIZED, EMPTY };

/* The type letters (reference 3.5).  width: octets of the value; of one that is SIZED, those of its length. */
static const struct kind {
    const char *name;
    uint8_t width;
    uint8_t sort; /* enum sort */
} kinds[128] = {
    ['t'] = {"bool", 1, BOOLEAN},
    ['b'] = {"byte", 1, SIGNED},
    ['B'] = {"unsignedbyte", 1, UNSIGNED},
    ['s'] = {"short", 2, SIGNED},
    ['u'] = {"unsignedshort", 2, UNSIGNED},
    ['I'] = {"signedint", 4, SIGNED},
    ['i'] = {"unsignedint", 4, UNSIGNED},
    ['l'] = {"long", 8, SIGNED},
    ['L'] = {"long", 8, SIGNED},
    ['f'] = {"float", 4, REAL},
    ['d'] = {"double", 8, REAL},
    ['D'] = {"decimal", 5, DECIMAL},
    ['S'] = {"longstr", 4, SIZED},
    ['A'] = {"array", 4, SIZED},
    ['T'] = {"timestamp", 8, TIMESTAMP},
    ['F'] = {"table", 4, SIZED},
    ['V'] = {"void", 0, EMPTY},
    ['x'] = {"binary", 4, SIZED},
};

/* Everything that is no type letter has the same kind, of NO_SORT. */
static const struct kind *kind_of(uint8_t letter)
{
    return &kinds[letter < 128 ? letter : 0];
}

/* A table or an array that table_check() is inside of. */
struct level {
    const uint8_t *end;
    bool is_array;
};

/* Reads one entry or element of the innermost level, which starts at *at; *inside is the contents of a table or an
 * array and otherwise not written. */
static bool check_field(const uint8_t **at, const struct level *level, uint8_t *letter, struct bytes *inside)
{
    struct cursor c = {.at = *at, .end = level->end};
    if (!level->is_array)
        cursor_shortstr(&c);
    *letter = cursor_u8(&c);
    const struct kind *kind = kind_of(*letter);
    if (kind->sort == NO_SORT)
        return false;
    if (kind->sort == SIZED)
        *inside = cursor_longstr(&c);
    else
        cursor_take(&c, kind->width);
    *at = c.at;
    return !c.bad;
}

static bool check_all(struct bytes b, bool is_array, unsigned depth_max)
{
    if (depth_max > TABLE_DEPTH_MAX)
        depth_max = TABLE_DEPTH_MAX;
    if (b.len > TABLE_SIZE_MAX || depth_max == 0)
        return false;

    struct level levels[TABLE_DEPTH_MAX];
    const uint8_t *at = b.at;
    unsigned depth = 1;
    levels[0] = (struct level){.end = cursor_over(b).end, .is_array = is_array};
    while (depth > 0) {
        if (at == levels[depth - 1].end) {
            depth--;
            continue;
        }
        uint8_t letter = 0;
        struct bytes inside = {0};
        if (!check_field(&at, &levels[depth - 1], &letter, &inside))
            return false;
        if (letter != 'F' && letter != 'A')
            continue;
        CHECK(inside.at != NULL);
        if (depth == depth_max)
            return false;
        at = inside.at;
        levels[depth++] = (struct level){.end = inside.at + inside.len, .is_array = letter == 'A'};
    }
    return true;
}

bool table_check(struct bytes b, unsigned depth_max)
{
    return check_all(b, false, depth_max);
}

bool table_check_array(struct bytes b, unsigned depth_max)
{
    return check_all(b, true, depth_max);
}

static double real_of(uint64_t bits, unsigned width)
{
    double d;
    float f;
    uint32_t low = (uint32_t)bits;
    if (width == sizeof(d)) {
        memcpy(&d, &bits, sizeof(d));
        return d;
    }
    memcpy(&f, &low, sizeof(f));
    return (double)f;
}

static int64_t sign_extended(uint64_t v, unsigned width)
{
    unsigned unused = 64 - 8 * width;
    return (int64_t)(v << unused) >> unused;
}

/* Reads the value of kind, the letter of which is already in out. */
static void read_value(struct cursor *c, const struct kind *kind, struct field *out)
{
    switch ((enum sort)kind->sort) {
    case BOOLEAN:
        out->boolean = cursor_u8(c) != 0;
        break;
    case SIGNED:
        out->integer = sign_extended(cursor_uint(c, kind->width), kind->width);
        break;
    case UNSIGNED:
        out->integer = (int64_t)cursor_uint(c, kind->width);
        break;
    case REAL:
        out->real = real_of(cursor_uint(c, kind->width), kind->width);
        break;
    case DECIMAL:
        out->decimal.scale = cursor_u8(c);
        out->decimal.digits = cursor_u32(c);
        break;
    case TIMESTAMP:
        out->timestamp = cursor_u64(c);
        break;
    case SIZED:
        out->bytes = cursor_longstr(c);
        break;
    case NO_SORT:
        c->bad = true;
        break;
    case EMPTY:
        break;
    }
}

static bool read_letter_and_value(struct cursor *c, struct field *out)
{
    uint8_t letter = cursor_u8(c);
    out->type = (char)letter;
    const uint8_t *start = c->at;
    read_value(c, kind_of(letter), out);
    if (c->bad)
        return false;
    out->raw = bytes_of(start, (size_t)(c->at - start));
    return true;
}

bool table_next(struct cursor *c, struct field *out)
{
    if (cursor_left(c) == 0)
        return false;
    *out = (struct field){.key = cursor_shortstr(c)};
    return read_letter_and_value(c, out);
}

bool table_next_in_array(struct cursor *c, struct field *out)
{
    if (cursor_left(c) == 0)
        return false;
    *out = (struct field){0};
    return read_letter_and_value(c, out);
}

bool table_find(struct bytes table, struct bytes key, struct field *out)
{
    struct cursor c = cursor_over(table);
    while (table_next(&c, out))
        if (bytes_equal(out->key, key))
            return true;
    return false;
}

struct bytes table_find_string(struct bytes table, const char *key)
{
    struct field f;
    bool has = table_find(table, bytes_of_string(key), &f) && f.type == 'S';
    return has ? f.bytes : (struct bytes){0};
}

bool field_is_integer(const struct field *f)
{
    uint8_t sort = kind_of((uint8_t)f->type)->sort;
    return sort == SIGNED || sort == UNSIGNED;
}

const char *field_type_name(char type)
{
    const char *name = kind_of((uint8_t)type)->name;
    return name != NULL ? name : "unknown";
}

/* Exact: a double that is not a whole number within int64_t equals none. */
static bool integer_equals_real(int64_t i, double d)
{
    const double limit = 9223372036854775808.0; /* 2 to the 63rd */
    if (!(d >= -limit && d < limit))
        return false;
    return (double)(int64_t)d == d && (int64_t)d == i;
}

/* A value that is not a number still equals itself: declaring the same thing twice must go well. */
static bool reals_equal(double a, double b)
{
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c): NaN is equal only by its bytes
    return a == b || memcmp(&a, &b, sizeof(a)) == 0;
}

bool field_equal_value(const struct field *a, const struct field *b)
{
    bool a_integer = field_is_integer(a), b_integer = field_is_integer(b);
    bool a_real = a->type == 'f' || a->type == 'd', b_real = b->type == 'f' || b->type == 'd';
    if (a_integer && b_integer)
        return a->integer == b->integer;
    if (a_real && b_real)
        return reals_equal(a->real, b->real);
    if (a_integer && b_real)
        return integer_equals_real(a->integer, b->real);
    if (a_real && b_integer)
        return integer_equals_real(b->integer, a->real);
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case 't':
        return a->boolean == b->boolean;
    case 'T':
        return a->timestamp == b->timestamp;
    case 'D':
        return a->decimal.scale == b->decimal.scale && a->decimal.digits == b->decimal.digits;
    case 'V':
        return true;
    default:
        return bytes_equal(a->bytes, b->bytes);
    }
}

static size_t count_entries(const struct field *f)
{
    struct cursor c = cursor_over(f->bytes);
    struct field inner;
    size_t n = 0;
    while (f->type == 'A' ? table_next_in_array(&c, &inner) : table_next(&c, &inner))
        n++;
    return n;
}

/* The shortest digits that read back as the same number, and always a point or an exponent. */
static void print_real(double d, char *to, size_t room)
{
    snprintf(to, room, "%.*g", DBL_DIG, d);
    if (strtod(to, NULL) != d)
        snprintf(to, room, "%.*g", DBL_DECIMAL_DIG, d);
    if (strcspn(to, ".en") == strlen(to))
        snprintf(to + strlen(to), room - strlen(to), ".0");
}

/* Values that fit a short text; the others are left empty. */
static void print_short(const struct field *f, char *to, size_t room)
{
    switch ((enum sort)kind_of((uint8_t)f->type)->sort) {
    case BOOLEAN:
        snprintf(to, room, "%s", f->boolean ? "true" : "false");
        break;
    case SIGNED:
    case UNSIGNED:
        snprintf(to, room, "%" PRId64, f->integer);
        break;
    case TIMESTAMP:
        snprintf(to, room, "%" PRIu64, f->timestamp);
        break;
    case REAL:
        print_real(f->real, to, room);
        break;
    case DECIMAL:
        snprintf(to, room, "%" PRIu32 "e-%u", f->decimal.digits, (unsigned)f->decimal.scale);
        break;
    case EMPTY:
        snprintf(to, room, "undefined");
        break;
    case SIZED:
        snprintf(to, room, "%s of %zu", field_type_name(f->type), count_entries(f));
        break;
    case NO_SORT:
        break;
    }
}

size_t field_print(const struct field *f, char *to, size_t room)
{
    /* cppcheck-suppress variableScope; value borrows it */
    char text[64] = "";
    struct bytes value = f->bytes;
    if (f->type != 'S' && f->type != 'x') {
        print_short(f, text, sizeof(text));
        value = bytes_of_string(text);
    }
    if (room == 0)
        return 0;
    size_t len = value.len < room ? value.len : room - 1;
    if (len > 0)
        memcpy(to, value.at, len);
    to[len] = '\0';
    return len;
}

/* Cuts a table into its entries, each key, letter and value as they lie.  Answers how many there are, or a number above
 * TABLE_SORT_MAX when there are too many. */
static size_t split_entries(struct bytes table, struct bytes entries[TABLE_SORT_MAX])
{
    struct cursor c = cursor_over(table);
    struct field f;
    size_t n = 0;
    for (const uint8_t *start = c.at; table_next(&c, &f); start = c.at, n++) {
        if (n == TABLE_SORT_MAX)
            return n + 1;
        entries[n] = bytes_of(start, (size_t)(c.at - start));
    }
    return n;
}

/* A shell sort: qsort() may allocate. */
static void sort_entries(struct bytes *entries, size_t n)
{
    static const size_t gaps[] = {132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
        size_t gap = gaps[g];
        for (size_t i = gap; i < n; i++) {
            struct bytes moving = entries[i];
            size_t at = i;
            for (; at >= gap && bytes_compare(entries[at - gap], moving) > 0; at -= gap)
                entries[at] = entries[at - gap];
            entries[at] = moving;
        }
    }
}

bool table_same_entries(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    if (bytes_equal(a, b))
        return true;
    struct bytes in_a[TABLE_SORT_MAX], in_b[TABLE_SORT_MAX];
    size_t n = split_entries(a, in_a);
    if (n > TABLE_SORT_MAX || split_entries(b, in_b) != n)
        return false;
    sort_entries(in_a, n);
    sort_entries(in_b, n);
    for (size_t i = 0; i < n; i++)
        if (!bytes_equal(in_a[i], in_b[i]))
            return false;
    return true;
}

uint64_t table_hash(struct bytes table, uint64_t seed)
{
    struct cursor c = cursor_over(table);
    struct field f;
    uint64_t sum = 0;
    for (const uint8_t *start = c.at; table_next(&c, &f); start = c.at)
        sum += hash_bytes(bytes_of(start, (size_t)(c.at - start)), seed); /* added: their order does not matter */
    return sum;
}

static void put_key(struct pen *p, struct bytes key, char letter)
{
    pen_shortstr(p, key);
    pen_u8(p, (uint8_t)letter);
}

void table_put_bool(struct pen *p, struct bytes key, bool v)
{
    put_key(p, key, 't');
    pen_u8(p, v);
}

void table_put_i64(struct pen *p, struct bytes key, int64_t v)
{
    put_key(p, key, 'l');
    pen_u64(p, (uint64_t)v);
}

void table_put_double(struct pen *p, struct bytes key, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_key(p, key, 'd');
    pen_u64(p, bits);
}

void table_put_i32(struct pen *p, struct bytes key, int32_t v)
{
    put_key(p, key, 'I');
    pen_u32(p, (uint32_t)v);
}

void table_put_string(struct pen *p, struct bytes key, struct bytes v)
{
    put_key(p, key, 'S');
    pen_longstr(p, v);
}

void table_put_timestamp(struct pen *p, struct bytes key, uint64_t seconds)
{
    put_key(p, key, 'T');
    pen_u64(p, seconds);
}

void table_put_field(struct pen *p, const struct field *f)
{
    put_key(p, f->key, f->type);
    pen_bytes(p, f->raw);
}

uint8_t *table_open(struct pen *p, struct bytes key, char type)
{
    put_key(p, key, type);
    return pen_length(p);
}

uint8_t *table_open_in_array(struct pen *p, char type)
{
    pen_u8(p, (uint8_t)type);
    return pen_length(p);
}

void table_close(struct pen *p, uint8_t *mark)
{
    pen_fill(p, mark);
}

void table_put_string_in_array(struct pen *p, struct bytes v)
{
    pen_u8(p, 'S');
    pen_longstr(p, v);
}

void table_put_field_in_array(struct pen *p, const struct field *f)
{
    pen_u8(p, (uint8_t)f->type);
    pen_bytes(p, f->raw);
}
