/* Reads an input as a table and as an array; what is accepted is walked, compared, hashed, printed and copied. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "codec/table.h"
#include "tests/fuzz/fuzz.h"

typedef bool next_fn(struct cursor *c, struct field *out);
typedef void put_fn(struct pen *p, const struct field *f);

static void check_value(const struct field *f, const struct field *previous)
{
    char text[32];
    CHECK(field_print(f, text, sizeof(text)) < sizeof(text));
    CHECK(field_print(f, NULL, 0) == 0);
    CHECK(field_type_name(f->type)[0] != 'u' || f->type == 'B' || f->type == 'u' || f->type == 'i');
    CHECK(field_equal_value(f, f));
    CHECK(field_equal_value(f, previous) == field_equal_value(previous, f));
    CHECK(!field_equal_value(f, previous) || field_is_integer(f) || f->type == previous->type || f->type == 'f' ||
          f->type == 'd');
}

/* Copies a checked table or array field by field, which must give the same bytes. */
static void check_walk(struct bytes b, next_fn *next, put_fn *put)
{
    uint8_t *room = alloc(b.len);
    struct pen p = pen_over(room, b.len);
    struct cursor c = cursor_over(b);
    struct field f, previous = {.type = 'V'};
    for (; next(&c, &f); previous = f) {
        check_value(&f, &previous);
        CHECK(f.type != 'F' || table_check(f.bytes, TABLE_DEPTH_MAX - 1));
        CHECK(f.type != 'A' || table_check_array(f.bytes, TABLE_DEPTH_MAX - 1));
        put(&p, &f);
    }
    CHECK(!c.bad && cursor_left(&c) == 0);
    CHECK(!p.full && bytes_equal(pen_written(&p), b));
    free(room);
}

/* The entries last to first. */
static struct bytes reversed(struct bytes table, uint8_t *room)
{
    struct cursor c = cursor_over(table);
    struct field f;
    uint8_t *at = room + table.len;
    for (const uint8_t *start = c.at; table_next(&c, &f); start = c.at) {
        at -= c.at - start;
        memcpy(at, start, (size_t)(c.at - start));
    }
    return bytes_of(room, table.len);
}

static void check_order_does_not_matter(struct bytes table)
{
    uint8_t *room = alloc(table.len);
    struct bytes turned = reversed(table, room);
    size_t n = 0;
    struct field f, found;
    for (struct cursor c = cursor_over(table); table_next(&c, &f); n++) {
        CHECK(table_find(table, f.key, &found) && bytes_equal(found.key, f.key));
        CHECK(table_find(turned, f.key, &found));
    }
    CHECK(table_check(turned, TABLE_DEPTH_MAX));
    CHECK(table_hash(turned, 7) == table_hash(table, 7));
    CHECK(table_same_entries(table, table));
    CHECK(table_same_entries(table, turned) || n > TABLE_SORT_MAX);
    CHECK(table_same_entries(turned, table) || n > TABLE_SORT_MAX);
    free(room);
}

/* Whatever the input, nothing may be read past its end. */
static void walk_unchecked(struct bytes b)
{
    struct field f;
    for (struct cursor c = cursor_over(b); table_next(&c, &f);)
        check_value(&f, &(struct field){.type = 'l', .integer = 1});
    for (struct cursor c = cursor_over(b); table_next_in_array(&c, &f);)
        check_value(&f, &(struct field){.type = 'd', .real = 1});
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes b = bytes_of(at, len);
    bool accepted = table_check(b, TABLE_DEPTH_MAX);
    for (unsigned depth = 0; depth < TABLE_DEPTH_MAX; depth++)
        CHECK(!table_check(b, depth) || accepted);
    if (accepted) {
        check_walk(b, table_next, table_put_field);
        check_order_does_not_matter(b);
    }
    if (table_check_array(b, TABLE_DEPTH_MAX))
        check_walk(b, table_next_in_array, table_put_field_in_array);
    walk_unchecked(b);
    return 0;
}
