#include "vectors.h"

#include <math.h>

#include "codec/table.h"

/* One field with the key k, of every type letter. */
static const struct {
    const char *table;
    char type;
    const char *name;    /* in error texts */
    const char *printed; /* by field_print() */
} letters[] = {
    {"016b 74 01", 't', "bool", "true"},
    {"016b 62 ff", 'b', "byte", "-1"},
    {"016b 42 ff", 'B', "unsignedbyte", "255"},
    {"016b 73 8000", 's', "short", "-32768"},
    {"016b 75 8000", 'u', "unsignedshort", "32768"},
    {"016b 49 80000000", 'I', "signedint", "-2147483648"},
    {"016b 69 80000000", 'i', "unsignedint", "2147483648"},
    {"016b 6c 8000000000000000", 'l', "long", "-9223372036854775808"},
    {"016b 4c ffffffffffffffff", 'L', "long", "-1"},
    {"016b 66 3fc00000", 'f', "float", "1.5"},
    {"016b 64 4000000000000000", 'd', "double", "2.0"},
    {"016b 44 02 0000013a", 'D', "decimal", "314e-2"},
    {"016b 53 00000002 6162", 'S', "longstr", "ab"},
    {"016b 41 00000005 7401 620256", 'A', "array", "array of 3"},
    {"016b 54 ffffffffffffffff", 'T', "timestamp", "18446744073709551615"},
    {"016b 46 00000004 0161 7401", 'F', "table", "table of 1"},
    {"016b 56", 'V', "void", "undefined"},
    {"016b 78 00000003 610062", 'x', "binary", NULL},
};
enum { N_LETTERS = sizeof(letters) / sizeof(letters[0]) };

/* The only field of the table that a text spells; the table is *kept until the caller drops it. */
static struct field field_of(const char *text, struct bytes *kept)
{
    struct field f;
    *kept = hex(text);
    struct cursor c = cursor_over(*kept);
    assert_true(table_check(*kept, TABLE_DEPTH_MAX));
    assert_true(table_next(&c, &f));
    assert_int_equal(cursor_left(&c), 0);
    return f;
}

static bool equal(const char *a, const char *b)
{
    struct bytes in_a, in_b;
    struct field fa = field_of(a, &in_a), fb = field_of(b, &in_b);
    bool answer = field_equal_value(&fa, &fb);
    assert_int_equal(field_equal_value(&fb, &fa), answer);
    drop(in_a);
    drop(in_b);
    return answer;
}

static bool same_entries(const char *a, const char *b)
{
    struct bytes in_a = hex(a), in_b = hex(b);
    bool answer = table_same_entries(in_a, in_b);
    assert_int_equal(table_same_entries(in_b, in_a), answer);
    if (answer)
        assert_int_equal(table_hash(in_a, 7), table_hash(in_b, 7));
    drop(in_a);
    drop(in_b);
    return answer;
}

static bool accepts(const char *text)
{
    struct bytes b = hex(text);
    bool answer = table_check(b, TABLE_DEPTH_MAX);
    drop(b);
    return answer;
}

static void every_letter_is_read_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LETTERS; i++) {
        struct bytes b;
        struct field f = field_of(letters[i].table, &b);
        assert_bytes_equal(f.key, BYTES("k"));
        assert_int_equal(f.type, letters[i].type);
        assert_bytes_equal(f.raw, bytes_of(b.at + 3, b.len - 3));
        assert_string_equal(field_type_name(f.type), letters[i].name);
        assert_int_equal(field_is_integer(&f), strchr("bBsuIilL", f.type) != NULL);
        assert_true(field_equal_value(&f, &f));
        drop(b);
    }
}

static void every_letter_is_read_inside_an_array(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LETTERS; i++) {
        struct bytes table = hex(letters[i].table);
        struct bytes array = exact(bytes_of(table.at + 2, table.len - 2));
        struct field f;
        struct cursor c = cursor_over(array);
        assert_true(table_check_array(array, TABLE_DEPTH_MAX));
        assert_true(table_next_in_array(&c, &f));
        assert_int_equal(f.type, letters[i].type);
        assert_int_equal(f.key.len, 0);
        assert_false(table_next_in_array(&c, &f));
        assert_false(c.bad);
        drop(array);
        drop(table);
    }
}

static void every_letter_is_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LETTERS; i++) {
        struct bytes b;
        struct field f = field_of(letters[i].table, &b);
        char text[64];
        size_t len = field_print(&f, text, sizeof(text));
        assert_int_equal(text[len], '\0');
        if (letters[i].printed != NULL)
            assert_string_equal(text, letters[i].printed);
        else
            assert_memory_equal(text, "a\0b", 4);
        drop(b);
    }
}

static void every_letter_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LETTERS; i++) {
        struct bytes b = hex(letters[i].table);
        for (size_t len = 1; len < b.len; len++) {
            struct bytes part = exact(bytes_of(b.at, len));
            struct cursor c = cursor_over(part);
            struct field f;
            assert_false(table_check(part, TABLE_DEPTH_MAX));
            assert_false(table_next(&c, &f));
            assert_true(c.bad);
            assert_false(table_find(part, BYTES("k"), &f));
            drop(part);
        }
        drop(b);
    }
}

static void every_other_letter_is_refused(void **state)
{
    (void)state;
    for (unsigned letter = 0; letter < 256; letter++) {
        bool known = letter != 0 && strchr("tbBsuIilLfdDSATFVx", (int)letter) != NULL;
        uint8_t zeros[16] = {1, 'k', (uint8_t)letter};
        struct bytes table = bytes_of(zeros, sizeof(zeros));
        struct cursor c = cursor_over(table);
        struct field f;
        assert_int_equal(table_next(&c, &f), known);
        assert_int_equal(strcmp(field_type_name((char)letter), "unknown") != 0, known);
        if (!known)
            assert_false(table_check(table, TABLE_DEPTH_MAX));
    }
    assert_false(accepts("016b 55 0001"));             /* U */
    assert_false(accepts("016b 51 0000000000000001")); /* Q */
}

static void numbers_keep_their_sign_and_width(void **state)
{
    (void)state;
    static const struct {
        const char *table;
        int64_t value;
    } numbers[] = {
        {"00 62 80", INT8_MIN},
        {"00 42 80", 128},
        {"00 73 ffff", -1},
        {"00 75 ffff", UINT16_MAX},
        {"00 49 ffffffff", -1},
        {"00 69 ffffffff", UINT32_MAX},
        {"00 6c ffffffffffffffff", -1},
        {"00 4c 8000000000000000", INT64_MIN},
        {"00 6c 7fffffffffffffff", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct bytes b;
        assert_int_equal(field_of(numbers[i].table, &b).integer, numbers[i].value);
        drop(b);
    }
}

static void any_octet_but_zero_is_true(void **state)
{
    (void)state;
    struct bytes b;
    assert_true(field_of("00 74 ff", &b).boolean);
    drop(b);
    assert_false(field_of("00 74 00", &b).boolean);
    drop(b);
    assert_true(equal("00 74 01", "00 74 ff"));
}

static void an_empty_table_is_well_formed(void **state)
{
    (void)state;
    struct cursor c = cursor_over((struct bytes){0});
    struct field f;
    assert_true(accepts(""));
    assert_true(table_check((struct bytes){0}, 1));
    assert_true(table_check_array((struct bytes){0}, 1));
    assert_false(table_next(&c, &f));
    assert_false(table_next_in_array(&c, &f));
    assert_false(c.bad);
    assert_false(table_find((struct bytes){0}, BYTES(""), &f));
    assert_true(accepts("016b 46 00000000"));
    assert_true(accepts("016b 41 00000000"));
}

static void leftovers_are_refused_at_every_level(void **state)
{
    (void)state;
    assert_false(accepts("016b 7401 00"));
    assert_false(accepts("016b 46 00000005 0161 7401 00"));
    assert_false(accepts("016b 41 00000003 7401 74"));
    assert_false(accepts("016b 41 00000002 0161")); /* an array's elements have no keys */
    assert_true(accepts("016b 41 00000002 7401 016c 56"));
}

static void an_inner_length_may_not_reach_outside(void **state)
{
    (void)state;
    assert_false(accepts("016b 46 00000004 016a 41 00000000"));
    assert_false(accepts("016b 41 00000005 53 00000001 56 56"));
    assert_false(accepts("016b 46 00000008 016a 53 00000001 016c 56"));
    assert_false(accepts("016b 53 ffffffff"));
    assert_false(accepts("016b 46 ffffffff"));
}

/* depth tables, or arrays, inside one another. */
static struct bytes nested(unsigned depth, char type)
{
    uint8_t room[2048];
    uint8_t *marks[128];
    struct pen p = pen_over(room, sizeof(room));
    for (unsigned i = 0; i + 1 < depth; i++)
        marks[i] = i > 0 && type == 'A' ? table_open_in_array(&p, type) : table_open(&p, BYTES("k"), type);
    for (unsigned i = depth - 1; i-- > 0;)
        table_close(&p, marks[i]);
    assert_false(p.full);
    return exact(pen_written(&p));
}

static void nesting_is_refused_one_level_below_what_was_asked(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth <= TABLE_DEPTH_MAX; depth++) {
        struct bytes tables = nested(depth, 'F'), arrays = nested(depth, 'A');
        assert_true(table_check(tables, depth));
        assert_true(table_check(arrays, depth));
        assert_false(table_check(tables, depth - 1));
        assert_false(table_check(arrays, depth - 1));
        drop(tables);
        drop(arrays);
    }
}

static void nobody_can_ask_for_more_levels_than_there_are(void **state)
{
    (void)state;
    struct bytes deep = nested(TABLE_DEPTH_MAX, 'F'), deeper = nested(TABLE_DEPTH_MAX + 1, 'F');
    assert_true(table_check(deep, UINT32_MAX));
    assert_false(table_check(deeper, UINT32_MAX));
    drop(deep);
    drop(deeper);
}

static void siblings_do_not_add_to_the_depth(void **state)
{
    (void)state;
    struct bytes b = hex("0161 46 00000000 0162 46 00000007 0163 41 00000000 0164 46 00000000 0165 7401");
    assert_true(table_check(b, 3));
    assert_false(table_check(b, 2));
    drop(b);
}

static void a_table_above_the_limit_is_refused(void **state)
{
    (void)state;
    uint8_t *at = calloc(1, TABLE_SIZE_MAX + 2);
    assert_non_null(at);
    for (size_t i = 0; i < TABLE_SIZE_MAX + 2; i += 2)
        at[i + 1] = 'V';
    assert_true(table_check(bytes_of(at, TABLE_SIZE_MAX), 1));
    assert_false(table_check(bytes_of(at, TABLE_SIZE_MAX + 2), 1));
    free(at);
}

static void the_first_of_equal_keys_is_found(void **state)
{
    (void)state;
    struct bytes b = hex("0161 6201 0162 6202 0161 6203 00 6204");
    struct field f;
    assert_true(table_find(b, BYTES("a"), &f));
    assert_int_equal(f.integer, 1);
    assert_true(table_find(b, BYTES("b"), &f));
    assert_int_equal(f.integer, 2);
    assert_true(table_find(b, BYTES(""), &f));
    assert_int_equal(f.integer, 4);
    assert_false(table_find(b, BYTES("c"), &f));
    assert_false(table_find(b, BYTES("ab"), &f));
    drop(b);
}

static void integers_are_equal_by_value_whatever_their_letter(void **state)
{
    (void)state;
    static const char *const ones[] = {"00 6201",
                                       "00 4201",
                                       "00 730001",
                                       "00 750001",
                                       "00 4900000001",
                                       "00 6900000001",
                                       "00 6c0000000000000001",
                                       "00 4c0000000000000001"};
    for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++) {
        assert_true(equal(ones[i], ones[0]));
        assert_false(equal(ones[i], "00 6202"));
        assert_true(equal(ones[i], "00 66 3f800000"));
        assert_true(equal(ones[i], "00 64 3ff0000000000000"));
        assert_false(equal(ones[i], "00 74 01"));
        assert_false(equal(ones[i], "00 53 00000001 31"));
        assert_false(equal(ones[i], "00 54 0000000000000001"));
    }
    assert_false(equal("00 62ff", "00 42ff"));
}

static void reals_are_compared_exactly(void **state)
{
    (void)state;
    assert_true(equal("00 66 3fc00000", "00 64 3ff8000000000000"));         /* 1.5 */
    assert_false(equal("00 66 3dcccccd", "00 64 3fb999999999999a"));        /* 0.1 in either width */
    assert_false(equal("00 64 3ff8000000000000", "00 6201"));               /* 1.5 and 1 */
    assert_true(equal("00 64 0000000000000000", "00 64 8000000000000000")); /* 0 and -0 */
    assert_true(equal("00 64 4340000000000000", "00 6c 0020000000000000")); /* 2^53 */
    assert_false(equal("00 64 4340000000000000", "00 6c 0020000000000001"));
    assert_false(equal("00 64 43e0000000000000", "00 6c 7fffffffffffffff")); /* 2^63 and the integer below */
    assert_true(equal("00 64 c3e0000000000000", "00 6c 8000000000000000"));  /* -2^63 */
    assert_false(equal("00 64 7ff0000000000000", "00 6c 7fffffffffffffff")); /* infinity */
}

static void what_is_not_a_number_equals_itself_and_no_other(void **state)
{
    (void)state;
    assert_true(equal("00 64 7ff8000000000000", "00 64 7ff8000000000000"));
    assert_true(equal("00 66 7fc00000", "00 66 7fc00000"));
    assert_false(equal("00 64 7ff8000000000000", "00 64 3ff8000000000000"));
    assert_false(equal("00 64 7ff8000000000000", "00 6201"));
}

static void other_values_are_equal_by_type_and_value(void **state)
{
    (void)state;
    assert_true(equal("0161 53 00000001 31", "0162 53 00000001 31"));
    assert_false(equal("00 53 00000001 31", "00 53 00000001 32"));
    assert_false(equal("00 53 00000001 31", "00 78 00000001 31"));
    assert_false(equal("00 53 00000001 31", "00 53 00000002 3131"));
    assert_true(equal("00 56", "00 56"));
    assert_false(equal("00 56", "00 74 00"));
    assert_true(equal("00 54 0000000000000001", "00 54 0000000000000001"));
    assert_false(equal("00 54 0000000000000001", "00 54 0000000000000002"));
    assert_true(equal("00 44 02 00000001", "00 44 02 00000001"));
    assert_false(equal("00 44 02 00000001", "00 44 01 00000001"));
    assert_false(equal("00 44 02 00000001", "00 44 02 00000002"));
    assert_true(equal("00 41 00000002 6201", "00 41 00000002 6201"));
    assert_false(equal("00 41 00000002 6201", "00 41 00000002 4201")); /* element types count */
    assert_false(equal("00 41 00000000", "00 46 00000000"));
    assert_true(equal("00 46 00000003 0161 56", "00 46 00000003 0161 56"));
    assert_false(equal("00 46 00000003 0161 56", "00 46 00000003 0162 56"));
}

static void numbers_are_printed_so_that_they_read_back(void **state)
{
    (void)state;
    static const struct {
        double real;
        const char *text;
    } reals[] = {
        {0.1, "0.1"},
        {1, "1.0"},
        {-3, "-3.0"},
        {1e300, "1e+300"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e15, "1e+15"},
        {123456, "123456.0"},
        {HUGE_VAL, "inf"},
        {-HUGE_VAL, "-inf"},
    };
    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        char text[64];
        struct field f = {.type = 'd', .real = reals[i].real};
        assert_int_equal(field_print(&f, text, sizeof(text)), strlen(reals[i].text));
        assert_string_equal(text, reals[i].text);
    }
}

static void printing_stops_at_the_end_of_the_room(void **state)
{
    (void)state;
    struct field f = {.type = 'S', .bytes = BYTES("hello")};
    for (size_t room = 0; room < 8; room++) {
        char *at = malloc(room);
        size_t want = room == 0 ? 0 : room <= 5 ? room - 1 : 5;
        assert_int_equal(field_print(&f, at, room), want);
        if (room > 0) {
            assert_memory_equal(at, "hello", want);
            assert_int_equal(at[want], '\0');
        }
        free(at);
    }
    char text[4];
    f = (struct field){.type = 'l', .integer = 123456};
    assert_int_equal(field_print(&f, text, sizeof(text)), 3);
    assert_string_equal(text, "123");
}

static void tables_with_the_same_entries_in_any_order_are_the_same(void **state)
{
    (void)state;
    assert_true(same_entries("", ""));
    assert_true(same_entries("0161 6201 0162 6202", "0161 6201 0162 6202"));
    assert_true(same_entries("0161 6201 0162 6202 0163 56", "0163 56 0162 6202 0161 6201"));
    assert_true(same_entries("0161 6201 0161 6202", "0161 6202 0161 6201"));
    assert_false(same_entries("0161 6201", "0161 6202"));
    assert_false(same_entries("0161 6201", "0162 6201"));
    assert_false(same_entries("0161 6201", "0161 4201")); /* another letter */
    assert_false(same_entries("0161 6201", ""));
    assert_false(same_entries("0161 6201 0161 6201", "0161 6201 0162 6202"));
    assert_false(same_entries("0161 6201 0161 6201 0162 6202", "0161 6201 0162 6202 0162 6202"));
    assert_false(same_entries("0161 730001", "0161 56 00 56")); /* as long, with other counts */
}

/* n entries with keys of two bytes, from first to last or the other way round. */
static struct bytes many(unsigned n, bool backwards)
{
    static uint8_t room[2048];
    struct pen p = pen_over(room, sizeof(room));
    for (unsigned i = 0; i < n; i++) {
        unsigned k = backwards ? n - 1 - i : i;
        uint8_t key[] = {(uint8_t)(k * 7 >> 8), (uint8_t)(k * 7)};
        struct field f = {.key = bytes_of(key, sizeof(key)), .type = 'V'};
        table_put_field(&p, &f);
    }
    assert_false(p.full);
    return exact(pen_written(&p));
}

static void only_so_many_entries_are_put_in_order(void **state)
{
    (void)state;
    for (unsigned n = TABLE_SORT_MAX - 1; n <= TABLE_SORT_MAX + 1; n++) {
        struct bytes a = many(n, false), b = many(n, true), again = many(n, false);
        assert_int_equal(table_same_entries(a, b), n <= TABLE_SORT_MAX);
        assert_true(table_same_entries(a, again));
        assert_int_equal(table_hash(a, 7), table_hash(b, 7));
        drop(a);
        drop(b);
        drop(again);
    }
}

static void hashes_of_different_tables_differ(void **state)
{
    (void)state;
    static const char *const tables[] = {
        "",          "0161 56",         "0162 56",         "0161 6201",           "0161 4201",
        "0161 6202", "0161 56 0162 56", "0161 56 0161 56", "0161 6201 0162 6202", "0161 6202 0162 6201",
    };
    enum { N = sizeof(tables) / sizeof(tables[0]) };
    uint64_t hashes[N];
    for (size_t i = 0; i < N; i++) {
        struct bytes b = hex(tables[i]);
        hashes[i] = table_hash(b, 7);
        drop(b);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(hashes[i], hashes[j]);
    }
}

static void what_is_put_is_found(void **state)
{
    (void)state;
    uint8_t room[256];
    struct pen p = pen_over(room, sizeof(room));
    struct bytes kept;
    struct field put = field_of("0664656c616564 75 1234", &kept), f;
    table_put_bool(&p, BYTES("bool"), true);
    table_put_i64(&p, BYTES("i64"), INT64_MIN);
    table_put_i32(&p, BYTES("i32"), -2);
    table_put_string(&p, BYTES("string"), BYTES("text"));
    table_put_timestamp(&p, BYTES("time"), UINT64_MAX);
    table_put_field(&p, &put);
    assert_false(p.full);
    struct bytes b = exact(pen_written(&p));
    assert_true(table_check(b, 1));
    assert_true(table_find(b, BYTES("bool"), &f) && f.type == 't' && f.boolean);
    assert_true(table_find(b, BYTES("i64"), &f) && f.type == 'l' && f.integer == INT64_MIN);
    assert_true(table_find(b, BYTES("i32"), &f) && f.type == 'I' && f.integer == -2);
    assert_true(table_find(b, BYTES("string"), &f) && f.type == 'S');
    assert_bytes_equal(f.bytes, BYTES("text"));
    assert_bytes_equal(table_find_string(b, "string"), BYTES("text"));
    assert_null(table_find_string(b, "i64").at);
    assert_null(table_find_string(b, "strings").at);
    assert_true(table_find(b, BYTES("time"), &f) && f.type == 'T' && f.timestamp == UINT64_MAX);
    assert_true(table_find(b, BYTES("delaed"), &f) && f.type == 'u' && f.integer == 0x1234);
    drop(b);
    drop(kept);
}

static void nested_values_are_written_as_the_reference_says(void **state)
{
    (void)state;
    uint8_t room[256];
    struct pen p = pen_over(room, sizeof(room));
    struct field f = {.key = BYTES("left out"), .type = 'b', .raw = BYTES("\007")};
    uint8_t *array = table_open(&p, BYTES("a"), 'A');
    table_put_string_in_array(&p, BYTES("x"));
    table_put_field_in_array(&p, &f);
    uint8_t *table = table_open_in_array(&p, 'F');
    table_put_bool(&p, BYTES("b"), false);
    table_close(&p, table);
    table_close(&p, array);
    struct bytes want = hex("0161 41 00000011 53 00000001 78 6207 46 00000004 0162 7400");
    assert_bytes_equal(pen_written(&p), want);
    assert_true(table_check(want, 3));
    drop(want);
}

static void every_field_copied_raw_is_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LETTERS; i++) {
        struct bytes b;
        struct field f = field_of(letters[i].table, &b);
        uint8_t room[64];
        struct pen p = pen_over(room, sizeof(room));
        table_put_field(&p, &f);
        assert_bytes_equal(pen_written(&p), b);
        drop(b);
    }
}

static void what_does_not_fit_makes_the_pen_full(void **state)
{
    (void)state;
    for (size_t room = 0; room < 14; room++) {
        uint8_t *at = malloc(room);
        struct pen p = pen_over(at, room);
        uint8_t *mark = table_open(&p, BYTES("k"), 'F');
        table_put_i32(&p, BYTES("k"), 1);
        table_close(&p, mark);
        assert_true(p.full);
        free(at);
    }
    static const uint8_t key[256];
    uint8_t big[600];
    struct pen p = pen_over(big, sizeof(big));
    table_put_bool(&p, bytes_of(key, 255), true);
    assert_false(p.full);
    table_put_bool(&p, bytes_of(key, 256), true);
    assert_true(p.full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_letter_is_read_and_named),
        cmocka_unit_test(every_letter_is_read_inside_an_array),
        cmocka_unit_test(every_letter_is_printed),
        cmocka_unit_test(every_letter_cut_short_anywhere_is_refused),
        cmocka_unit_test(every_other_letter_is_refused),
        cmocka_unit_test(numbers_keep_their_sign_and_width),
        cmocka_unit_test(any_octet_but_zero_is_true),
        cmocka_unit_test(an_empty_table_is_well_formed),
        cmocka_unit_test(leftovers_are_refused_at_every_level),
        cmocka_unit_test(an_inner_length_may_not_reach_outside),
        cmocka_unit_test(nesting_is_refused_one_level_below_what_was_asked),
        cmocka_unit_test(nobody_can_ask_for_more_levels_than_there_are),
        cmocka_unit_test(siblings_do_not_add_to_the_depth),
        cmocka_unit_test(a_table_above_the_limit_is_refused),
        cmocka_unit_test(the_first_of_equal_keys_is_found),
        cmocka_unit_test(integers_are_equal_by_value_whatever_their_letter),
        cmocka_unit_test(reals_are_compared_exactly),
        cmocka_unit_test(what_is_not_a_number_equals_itself_and_no_other),
        cmocka_unit_test(other_values_are_equal_by_type_and_value),
        cmocka_unit_test(numbers_are_printed_so_that_they_read_back),
        cmocka_unit_test(printing_stops_at_the_end_of_the_room),
        cmocka_unit_test(tables_with_the_same_entries_in_any_order_are_the_same),
        cmocka_unit_test(only_so_many_entries_are_put_in_order),
        cmocka_unit_test(hashes_of_different_tables_differ),
        cmocka_unit_test(what_is_put_is_found),
        cmocka_unit_test(nested_values_are_written_as_the_reference_says),
        cmocka_unit_test(every_field_copied_raw_is_as_it_was),
        cmocka_unit_test(what_does_not_fit_makes_the_pen_full),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
