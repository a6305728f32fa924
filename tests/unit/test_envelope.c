#include "broker/admin/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admin/json.h"
#include "tests/unit/unit.h"

static json_t *parse(const char *text)
{
    char *error = NULL;
    json_t *o = json_read(bytes_of_string(text), &error);
    if (o == NULL)
        fail_msg("%s: %s", text, error);
    return o;
}

/* The properties, through bytes and back; NULL is in *why. */
static json_t *there_and_back(const char *text, char **why)
{
    struct bytes encoded;
    json_t *given = parse(text), *back = NULL;
    void *room = envelope_read_properties(given, &encoded, why);
    if (room != NULL)
        back = envelope_properties(encoded);
    free(room);
    json_decref(given);
    return back;
}

static void expect(const char *text, const char *expected)
{
    char *why = NULL;
    json_t *is = there_and_back(text, &why), *wanted = parse(expected);
    if (is == NULL)
        fail_msg("%s: %s", text, why);
    assert_true(json_equal(is, wanted));
    json_decref(is);
    json_decref(wanted);
}

static void expect_refusal(const char *text, const char *expected)
{
    char *why = NULL;
    assert_null(there_and_back(text, &why));
    assert_string_equal(why, expected);
    free(why);
}

TEST(properties_come_back_as_they_were)
{
    static const char all[] =
        "{\"content_type\":\"a\",\"content_encoding\":\"b\",\"headers\":{\"n\":-1,\"s\":\"x\",\"l\":[1,{\"t\":true}]},"
        "\"delivery_mode\":2,\"priority\":255,\"correlation_id\":\"c\",\"reply_to\":\"d\",\"expiration\":\"1\","
        "\"message_id\":\"e\",\"timestamp\":1700000000,\"type\":\"f\",\"user_id\":\"g\",\"app_id\":\"h\","
        "\"cluster_id\":\"i\"}";
    expect(all, all);
    expect("{}", "{}");
}

TEST(what_is_no_property_or_null_means_nothing)
{
    expect("{\"nosuch\":1,\"priority\":null,\"type\":\"t\"}", "{\"type\":\"t\"}");
    expect("{\"headers\":[]}", "{\"headers\":{}}"); /* as PHP writes it */
}

TEST(what_a_property_cannot_be_is_said)
{
    char text[400], *why = NULL;
    expect_refusal("{\"delivery_mode\":\"2\"}", "[not_int,delivery_mode]");
    expect_refusal("{\"delivery_mode\":256}", "[not_int,delivery_mode]");
    expect_refusal("{\"priority\":-1}", "[not_int,priority]");
    expect_refusal("{\"timestamp\":1.5}", "[not_int,timestamp]");
    expect_refusal("{\"expiration\":60000}", "[not_string,expiration]");
    expect_refusal("{\"headers\":1}", "[not_object,headers]");
    expect_refusal("{\"headers\":[1]}", "[not_object,headers]");
    expect_refusal("{\"headers\":{\"a\":null}}", "null_not_allowed");
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"type\":\"", 9);
    memcpy(text + 9 + 256, "\"}", 3);
    assert_null(there_and_back(text, &why));
    free(why);
}

static void expect_payload(struct bytes payload, const char *text, const char *encoding)
{
    json_t *o = json_object();
    envelope_set_payload(o, payload);
    assert_string_equal(json_string_value(json_object_get(o, "payload")), text);
    assert_string_equal(json_string_value(json_object_get(o, "payload_encoding")), encoding);
    json_decref(o);
}

TEST(payloads_are_text_where_they_can_be)
{
    expect_payload(BYTES("zw\xc3\xb6lf"), "zw\xc3\xb6lf", "string");
    expect_payload(BYTES(""), "", "string");
    expect_payload(BYTES("\xff\x00\x01"), "/wAB", "base64");
    expect_payload(BYTES("zw\xc3"), "enfD", "base64");
}

static void expect_decoded(const char *text, struct bytes expected)
{
    size_t len;
    uint8_t *is = envelope_decode(bytes_of_string(text), &len);
    assert_non_null(is);
    assert_true(bytes_equal(bytes_of(is, len), expected));
    free(is);
}

TEST(base64_is_read_back_to_the_byte)
{
    static const char *const wrong[] = {"!!!", "YQ", "YQ=", "Y=Q=", "=YQ=", " YQ==", "YQ== ", "YQ==YQ==", "YWE*"};
    expect_decoded("", BYTES(""));
    expect_decoded("YQ==", BYTES("a"));
    expect_decoded("YWE=", BYTES("aa"));
    expect_decoded("YWFh", BYTES("aaa"));
    expect_decoded("AAAA", BYTES("\0\0\0"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t len;
        uint8_t *is = envelope_decode(bytes_of_string(wrong[i]), &len);
        if (is != NULL)
            fail_msg("'%s' is taken for base64", wrong[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_come_back_as_they_were),
        cmocka_unit_test(what_is_no_property_or_null_means_nothing),
        cmocka_unit_test(what_a_property_cannot_be_is_said),
        cmocka_unit_test(payloads_are_text_where_they_can_be),
        cmocka_unit_test(base64_is_read_back_to_the_byte),
    };
    return unit_main("admin/envelope", tests, argc, argv);
}
