#include "vectors.h"

#include "codec/cursor.h"

static void reads_big_endian_integers_of_every_width(void **state)
{
    (void)state;
    struct bytes b = hex("01 0203 04050607 08090a0b0c0d0e0f 101112");
    struct cursor c = cursor_over(b);
    assert_int_equal(cursor_u8(&c), 0x01);
    assert_int_equal(cursor_u16(&c), 0x0203);
    assert_int_equal(cursor_u32(&c), 0x04050607);
    assert_int_equal(cursor_u64(&c), 0x08090a0b0c0d0e0f);
    assert_int_equal(cursor_uint(&c, 3), 0x101112);
    assert_int_equal(cursor_left(&c), 0);
    assert_false(c.bad);
    drop(b);
}

static void reads_strings_with_either_length(void **state)
{
    (void)state;
    struct bytes b = hex("02 6162 00 00000001 63 00000000");
    struct cursor c = cursor_over(b);
    assert_bytes_equal(cursor_shortstr(&c), BYTES("ab"));
    assert_bytes_equal(cursor_shortstr(&c), BYTES(""));
    assert_bytes_equal(cursor_longstr(&c), BYTES("c"));
    assert_bytes_equal(cursor_longstr(&c), BYTES(""));
    assert_false(c.bad);
    drop(b);
}

static void reading_past_the_end_marks_it_bad_and_yields_zero_ever_after(void **state)
{
    (void)state;
    struct bytes b = hex("01 02 03");
    struct cursor c = cursor_over(b);
    assert_int_equal(cursor_u32(&c), 0);
    assert_true(c.bad);
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(cursor_u8(&c), 0);
    assert_int_equal(cursor_u16(&c), 0);
    assert_int_equal(cursor_u64(&c), 0);
    assert_int_equal(cursor_uint(&c, 1), 0);
    assert_int_equal(cursor_take(&c, 0).len, 0);
    assert_int_equal(cursor_shortstr(&c).len, 0);
    assert_true(c.bad);
    drop(b);
}

static void every_width_is_refused_when_one_byte_is_missing(void **state)
{
    (void)state;
    struct bytes b = hex("01 02 03 04 05 06 07");
    for (size_t width = 1; width <= 8; width++) {
        struct bytes part = exact(bytes_of(b.at, width - 1));
        struct cursor c = cursor_over(part);
        assert_int_equal(cursor_uint(&c, width), 0);
        assert_true(c.bad);
        drop(part);
    }
    drop(b);
}

static void a_string_longer_than_what_is_left_is_bad(void **state)
{
    (void)state;
    struct bytes b = hex("03 6162");
    struct cursor c = cursor_over(b);
    assert_int_equal(cursor_shortstr(&c).len, 0);
    assert_true(c.bad);
    drop(b);
    b = hex("ffffffff 6162");
    c = cursor_over(b);
    assert_int_equal(cursor_longstr(&c).len, 0);
    assert_true(c.bad);
    drop(b);
}

static void nothing_at_all_can_be_walked(void **state)
{
    (void)state;
    struct cursor c = cursor_over((struct bytes){0});
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(cursor_take(&c, 0).len, 0);
    assert_false(c.bad);
    assert_int_equal(cursor_u8(&c), 0);
    assert_true(c.bad);
}

static void a_pen_writes_what_a_cursor_reads(void **state)
{
    (void)state;
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof(room));
    pen_u8(&p, 0x01);
    pen_u16(&p, 0x0203);
    pen_u32(&p, 0x04050607);
    pen_u64(&p, 0x08090a0b0c0d0e0f);
    pen_uint(&p, 0x101112, 3);
    pen_shortstr(&p, BYTES("ab"));
    pen_longstr(&p, BYTES("c"));
    pen_bytes(&p, (struct bytes){0});
    struct bytes want = hex("01 0203 04050607 08090a0b0c0d0e0f 101112 026162 0000000163");
    assert_false(p.full);
    assert_bytes_equal(pen_written(&p), want);
    drop(want);
}

static void a_full_pen_writes_nothing_more(void **state)
{
    (void)state;
    uint8_t *room = malloc(3);
    assert_non_null(room);
    struct pen p = pen_over(room, 3);
    pen_u16(&p, 0x0102);
    pen_u16(&p, 0x0304);
    assert_true(p.full);
    pen_u8(&p, 5);
    pen_u32(&p, 6);
    pen_u64(&p, 7);
    pen_uint(&p, 8, 1);
    pen_bytes(&p, BYTES("x"));
    assert_true(p.full);
    assert_int_equal(pen_written(&p).len, 2);
    free(room);
}

static void a_pen_without_room_is_full_at_the_first_byte(void **state)
{
    (void)state;
    struct pen p = pen_over(NULL, 0);
    pen_bytes(&p, (struct bytes){0});
    assert_false(p.full);
    assert_int_equal(pen_written(&p).len, 0);
    pen_u8(&p, 1);
    assert_true(p.full);
}

static void a_short_string_of_256_bytes_makes_the_pen_full(void **state)
{
    (void)state;
    uint8_t room[600];
    uint8_t text[256] = {0};
    struct pen p = pen_over(room, sizeof(room));
    pen_shortstr(&p, bytes_of(text, 255));
    assert_false(p.full);
    assert_int_equal(pen_written(&p).len, 256);
    pen_shortstr(&p, bytes_of(text, 256));
    assert_true(p.full);
}

static void a_length_left_open_is_filled_with_what_came_after(void **state)
{
    (void)state;
    uint8_t room[16];
    struct pen p = pen_over(room, sizeof(room));
    pen_u8(&p, 0xaa);
    uint8_t *mark = pen_length(&p);
    pen_bytes(&p, BYTES("abc"));
    pen_fill(&p, mark);
    struct bytes want = hex("aa 00000003 616263");
    assert_bytes_equal(pen_written(&p), want);
    drop(want);
}

static void a_length_that_did_not_fit_is_not_filled(void **state)
{
    (void)state;
    uint8_t *room = malloc(3);
    assert_non_null(room);
    struct pen p = pen_over(room, 3);
    uint8_t *mark = pen_length(&p);
    pen_fill(&p, mark);
    assert_true(p.full);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_big_endian_integers_of_every_width),
        cmocka_unit_test(reads_strings_with_either_length),
        cmocka_unit_test(reading_past_the_end_marks_it_bad_and_yields_zero_ever_after),
        cmocka_unit_test(every_width_is_refused_when_one_byte_is_missing),
        cmocka_unit_test(a_string_longer_than_what_is_left_is_bad),
        cmocka_unit_test(nothing_at_all_can_be_walked),
        cmocka_unit_test(a_pen_writes_what_a_cursor_reads),
        cmocka_unit_test(a_full_pen_writes_nothing_more),
        cmocka_unit_test(a_pen_without_room_is_full_at_the_first_byte),
        cmocka_unit_test(a_short_string_of_256_bytes_makes_the_pen_full),
        cmocka_unit_test(a_length_left_open_is_filled_with_what_came_after),
        cmocka_unit_test(a_length_that_did_not_fit_is_not_filled),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
