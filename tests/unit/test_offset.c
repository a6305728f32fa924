#include "tests/unit/unit.h"

#include <stdlib.h>

#include "broker/model/offset.h"
#include "codec/table.h"

static const uint64_t now_ms = 100000000000;

/* What x-stream-offset says with this letter and value; *text: what is wrong. */
static struct offset read_raw(char letter, struct bytes raw, char **text)
{
    uint8_t buf[400];
    struct pen p = pen_over(buf, sizeof buf);
    struct field f = {.key = BYTES("x-stream-offset"), .type = letter, .raw = raw};
    struct offset o;
    table_put_field(&p, &f);
    *text = offset_read(pen_written(&p), now_ms, &o);
    return o;
}

static struct offset read_text(const char *word, char **text)
{
    uint8_t buf[300];
    struct pen p = pen_over(buf, sizeof buf);
    pen_longstr(&p, bytes_of_string(word));
    return read_raw('S', pen_written(&p), text);
}

TEST(words)
{
    static const struct {
        const char *word;
        enum offset_kind kind;
        uint64_t number;
    } all[] = {
        {"next", OFFSET_NEXT, 0},         {"first", OFFSET_FIRST, 0},        {"last", OFFSET_LAST, 0},
        {"1s", OFFSET_TIME, 99999999000}, {"10m", OFFSET_TIME, 99999400000}, {"1h", OFFSET_TIME, 99996400000},
        {"1D", OFFSET_TIME, 99913600000}, {"1M", OFFSET_TIME, 97408000000},  {"1Y", OFFSET_TIME, 68464000000},
        {"9Y", OFFSET_TIME, 0},           {"999999Y", OFFSET_TIME, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *text;
        struct offset o = read_text(all[i].word, &text);
        assert_null(text);
        assert_int_equal(o.kind, all[i].kind);
        if (o.kind == OFFSET_TIME)
            assert_int_equal(o.number, all[i].number);
    }
}

TEST(nothing_means_next)
{
    struct offset o;
    assert_null(offset_read(BYTES(""), now_ms, &o));
    assert_int_equal(o.kind, OFFSET_NEXT);
}

TEST(numbers)
{
    char *text;
    struct offset o = read_raw('b', bytes_of("\x7f", 1), &text);
    assert_int_equal(o.kind, OFFSET_AT);
    assert_int_equal(o.number, 127);
    o = read_raw('l', bytes_of("\x7f\xff\xff\xff\xff\xff\xff\xff", 8), &text);
    assert_int_equal(o.number, INT64_MAX);
    o = read_raw('I', bytes_of("\xff\xff\xff\xfe", 4), &text);
    assert_int_equal(o.kind, OFFSET_BACK);
    assert_int_equal(o.number, 2);
    o = read_raw('l', bytes_of("\x80\0\0\0\0\0\0\0", 8), &text);
    assert_int_equal(o.kind, OFFSET_BACK);
    assert_int_equal(o.number, UINT64_C(1) << 63);
    o = read_raw('T', bytes_of("\0\0\0\0\0\0\0\x05", 8), &text);
    assert_int_equal(o.kind, OFFSET_TIME);
    assert_int_equal(o.number, 5000);
    o = read_raw('T', bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff", 8), &text);
    assert_int_equal(o.number, UINT64_MAX);
}

TEST(what_is_wrong_is_said_as_rabbitmq_does)
{
    static const struct {
        const char *word, *text;
    } all[] = {
        {"5", "{invalid_stream_offset_arg,{longstr,<<\"5\">>}}"},
        {"0s", "{invalid_stream_offset_arg,{longstr,<<\"0s\">>}}"},
        {"First", "{invalid_stream_offset_arg,{longstr,<<\"First\">>}}"},
        {"a\"b\\", "{invalid_stream_offset_arg,{longstr,<<\"a\\\"b\\\\\">>}}"},
        {"", "{invalid_stream_offset_arg,{longstr,<<>>}}"},
        {"\xff\x01", "{invalid_stream_offset_arg,{longstr,<<255,1>>}}"},
    };
    char *text;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        read_text(all[i].word, &text);
        assert_string_equal(text, all[i].text);
        free(text);
    }
    read_raw('t', bytes_of("\1", 1), &text);
    assert_string_equal(text, "{invalid_stream_offset_arg,{bool,true}}");
    free(text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(nothing_means_next),
        cmocka_unit_test(numbers),
        cmocka_unit_test(what_is_wrong_is_said_as_rabbitmq_does),
    };
    return unit_main("offset", tests, argc, argv);
}
