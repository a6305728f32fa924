#include "base/audit_line.h"

#include <jansson.h>
#include <string.h>

#include "tests/unit/unit.h"

#define NOW 1795254714778765u /* 2026-11-21T09:51:54.778765Z */

static char line[AUDIT_LINE_MAX + 1];

static const char *line_of(const struct audit *a)
{
    memset(line, 'x', sizeof line);
    size_t n = audit_line(a, NOW, line);
    assert_in_range(n, 1, AUDIT_LINE_MAX);
    assert_int_equal(line[n - 1], '\n');
    assert_int_equal(line[AUDIT_LINE_MAX], 'x');
    line[n] = '\0';
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    return line;
}

/* The line as a JSON parser sees it; strict, no member twice. */
static json_t *parsed(const struct audit *a)
{
    json_error_t error;
    json_t *j = json_loads(line_of(a), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (j == NULL)
        fail_msg("%s in %s", error.text, line);
    return j;
}

static struct audit of_user(struct bytes user)
{
    return (struct audit){.action = "login", .user = user};
}

static void assert_user_is_written(struct bytes user, const char *as)
{
    struct audit a = of_user(user);
    char wanted[256];
    snprintf(wanted, sizeof wanted, ",\"user\":\"%s\"}\n", as);
    assert_non_null(strstr(line_of(&a), wanted));
    json_decref(parsed(&a));
}

TEST(says_what_it_was_told_in_a_fixed_order)
{
    struct audit a = {.action = "queue.delete",
                      .result = BYTES("ok"),
                      .reason = BYTES("asked"),
                      .user = BYTES("alice"),
                      .peer = BYTES("127.0.0.1:5672"),
                      .certificate = BYTES("CN=alice,O=x"),
                      .vhost = BYTES("/"),
                      .kind = BYTES("queue"),
                      .object = BYTES("orders"),
                      .count = UINT64_MAX,
                      .has_count = true,
                      .before = BYTES("old"),
                      .after = BYTES("new")};
    assert_string_equal(line_of(&a),
                        "{\"time\":\"2026-11-21T09:51:54.778765Z\",\"action\":\"queue.delete\",\"result\":\"ok\","
                        "\"reason\":\"asked\",\"user\":\"alice\",\"peer\":\"127.0.0.1:5672\","
                        "\"certificate\":\"CN=alice,O=x\",\"vhost\":\"/\",\"kind\":\"queue\",\"object\":\"orders\","
                        "\"count\":18446744073709551615,\"before\":\"old\",\"after\":\"new\"}\n");
}

TEST(leaves_out_what_is_not_there_and_keeps_what_is_empty)
{
    struct audit a = {.action = "start", .user = BYTES("")};
    assert_string_equal(line_of(&a), "{\"time\":\"2026-11-21T09:51:54.778765Z\",\"action\":\"start\",\"user\":\"\"}\n");
}

TEST(time_has_six_digits_and_is_utc)
{
    char to[AUDIT_LINE_MAX];
    struct audit a = {.action = "a"};
    size_t n = audit_line(&a, 7, to);
    assert_memory_equal(to, "{\"time\":\"1970-01-01T00:00:00.000007Z\"", 37);
    assert_true(n > 37);
    audit_line(&a, 1709251199999999, to);
    assert_memory_equal(to, "{\"time\":\"2024-02-29T23:59:59.999999Z\"", 37);
}

TEST(nothing_ends_a_line_or_a_string)
{
    assert_user_is_written(BYTES("a\",\"result\":\"ok"), "a\\u0022,\\u0022result\\u0022:\\u0022ok");
    assert_user_is_written(BYTES("a\n{\"time\":1}\r\n"), "a\\u000a{\\u0022time\\u0022:1}\\u000d\\u000a");
    assert_user_is_written(BYTES("a\\"), "a\\u005c");
    assert_user_is_written(BYTES("\\\""), "\\u005c\\u0022");
    assert_user_is_written(BYTES("a\0b"), "a\\u0000b");
    assert_user_is_written(BYTES("\x1b[2J\x7f\b"), "\\u001b[2J\\u007f\\u0008");
}

TEST(what_deceives_the_eye_is_escaped)
{
    assert_user_is_written(BYTES("\xe2\x80\xa8\xe2\x80\xa9"), "\\u2028\\u2029"); /* separators */
    assert_user_is_written(BYTES("\xc2\x85\xc2\x9b"), "\\u0085\\u009b");         /* C1: NEL, CSI */
    assert_user_is_written(BYTES("\xe2\x80\xae"
                                 "txt\xe2\x81\xa6"),
                           "\\u202etxt\\u2066"); /* turned around */
    assert_user_is_written(BYTES("ad\xe2\x80\x8bmin\xef\xbb\xbf"), "ad\\u200bmin\\ufeff");
}

TEST(text_in_any_script_stays)
{
    assert_user_is_written(BYTES("J\xc3\xbcrgen \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x90\x87"),
                           "J\xc3\xbcrgen \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x90\x87");
    assert_user_is_written(BYTES("\xef\xbf\xbd"), "\xef\xbf\xbd");
}

TEST(what_is_no_text_is_told_from_what_is)
{
    assert_user_is_written(BYTES("\xff\xfe"), "\\ufffdff\\ufffdfe");
    assert_user_is_written(BYTES("\xc0\xaf"), "\\ufffdc0\\ufffdaf");              /* overlong */
    assert_user_is_written(BYTES("\xe0\x80\xa2"), "\\ufffde0\\ufffd80\\ufffda2"); /* an overlong quote */
    assert_user_is_written(BYTES("\xed\xa0\x80"), "\\ufffded\\ufffda0\\ufffd80"); /* half a surrogate pair */
    assert_user_is_written(BYTES("\xf4\x90\x80\x80"), "\\ufffdf4\\ufffd90\\ufffd80\\ufffd80"); /* beyond Unicode */
    assert_user_is_written(BYTES("\xe2\x80"), "\\ufffde2\\ufffd80");                           /* cut off */
    assert_user_is_written(BYTES("\xc3\""), "\\ufffdc3\\u0022"); /* no quote is swallowed */
    assert_user_is_written(BYTES("\x80z"), "\\ufffd80z");
}

TEST(every_byte_and_every_pair_of_bytes_gives_json)
{
    for (unsigned pair = 0; pair < 65536; pair++) {
        uint8_t user[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        struct audit a = of_user(bytes_of(user, 2));
        json_t *j = parsed(&a);
        assert_int_equal(json_object_size(j), 3);
        json_decref(j);
    }
}

TEST(every_character_comes_back)
{
    for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        uint8_t text[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint8_t mark[] = {0, 0, 0xc0, 0xe0, 0xf0};
        uint32_t rest = c;
        for (size_t i = n; i-- > 1; rest >>= 6)
            text[i] = (uint8_t)(0x80 | (rest & 0x3f));
        text[0] = (uint8_t)(mark[n] | rest);
        if (c >= 0xd800 && c < 0xe000)
            continue;
        struct audit a = of_user(bytes_of(text, n));
        json_t *j = parsed(&a), *user = json_object_get(j, "user");
        assert_int_equal(json_string_length(user), n);
        assert_memory_equal(json_string_value(user), text, n);
        json_decref(j);
    }
}

/* Everything as long as can be, and made of what grows most. */
static struct audit hostile(struct bytes b)
{
    return (struct audit){.action = "queue.delete",
                          .result = b,
                          .reason = b,
                          .user = b,
                          .peer = b,
                          .certificate = b,
                          .vhost = b,
                          .kind = b,
                          .object = b,
                          .count = INT64_MAX,
                          .has_count = true,
                          .before = b,
                          .after = b};
}

TEST(what_does_not_fit_is_cut_and_no_member_pushes_out_another)
{
    static const char *const fills[] = {"a", "\"", "\xff", "\xf0\x9f\x90\x87", "\xe2\x80\xa8", "\\u", "\xc3\xbc"};
    static char big[100000];
    for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++) {
        for (size_t n = 0; n < sizeof big; n++)
            big[n] = fills[f][n % strlen(fills[f])];
        for (size_t len = 1; len < sizeof big; len += len < 500 ? 1 : len < 5000 ? 97 : 10007) {
            struct audit a = hostile(bytes_of(big, len));
            json_t *j = parsed(&a);
            bool is_cut = json_is_true(json_object_get(j, "cut"));
            assert_int_equal(json_object_size(j), 13 + is_cut);
            assert_true(json_string_length(json_object_get(j, "after")) >= (len < 60 ? len : 60));
            assert_true(is_cut || json_string_length(json_object_get(j, "kind")) == len || fills[f][0] == '\xff' ||
                        len % strlen(fills[f]) != 0);
            assert_true(is_cut || len < 65);
            json_decref(j);
        }
    }
}

TEST(names_of_255_bytes_are_whole)
{
    char name[256] = {0};
    memset(name, 'n', 255);
    struct bytes b = bytes_of(name, 255);
    struct audit a = {.action = "queue.declare", .user = b, .vhost = b, .object = b, .reason = b, .certificate = b};
    json_t *j = parsed(&a);
    assert_null(json_object_get(j, "cut"));
    assert_string_equal(json_string_value(json_object_get(j, "object")), name);
    json_decref(j);
}

TEST(one_value_may_have_the_room_of_both)
{
    char value[1500];
    memset(value, 'v', sizeof value);
    struct audit a = {.action = "policy.set", .after = bytes_of(value, sizeof value)};
    assert_null(strstr(line_of(&a), "\"cut\""));
    a.before = a.after;
    assert_null(strstr(line_of(&a), "\"cut\""));
    static char big[5000];
    memset(big, 'v', sizeof big);
    a.before = bytes_of(big, sizeof big);
    assert_non_null(strstr(line_of(&a), "\"cut\":true"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_was_told_in_a_fixed_order),
        cmocka_unit_test(leaves_out_what_is_not_there_and_keeps_what_is_empty),
        cmocka_unit_test(time_has_six_digits_and_is_utc),
        cmocka_unit_test(nothing_ends_a_line_or_a_string),
        cmocka_unit_test(what_deceives_the_eye_is_escaped),
        cmocka_unit_test(text_in_any_script_stays),
        cmocka_unit_test(what_is_no_text_is_told_from_what_is),
        cmocka_unit_test(every_byte_and_every_pair_of_bytes_gives_json),
        cmocka_unit_test(every_character_comes_back),
        cmocka_unit_test(what_does_not_fit_is_cut_and_no_member_pushes_out_another),
        cmocka_unit_test(names_of_255_bytes_are_whole),
        cmocka_unit_test(one_value_may_have_the_room_of_both),
    };
    return unit_main("base/audit_line", tests, argc, argv);
}
