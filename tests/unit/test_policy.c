#include "broker/admin/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/port/queue_options.h"
#include "tests/unit/unit.h"

static json_t *parse(const char *text)
{
    char *error = NULL;
    json_t *j = json_read(bytes_of_string(text), &error);
    if (j == NULL)
        fail_msg("%s: %s", text, error);
    return j;
}

/* why NULL: it is right. */
static void expect_policy(const char *text, bool is_operator, const char *why)
{
    json_t *value = parse(text);
    char *wrong = policy_check(value, is_operator);
    if ((wrong == NULL) != (why == NULL) || (wrong != NULL && strcmp(wrong, why) != 0))
        fail_msg("%s: %s", text, wrong != NULL ? wrong : "was right");
    free(wrong);
    json_decref(value);
}

/* The same with a pattern and that definition. */
static void expect(const char *definition, bool is_operator, const char *why)
{
    char *text = str_format("{\"pattern\":\"^q\",\"definition\":%s}", definition);
    expect_policy(text, is_operator, why);
    free(text);
}

TEST(what_people_set_is_right)
{
    expect("{\"message-ttl\":0,\"expires\":1,\"max-length\":0,\"max-length-bytes\":1}", false, NULL);
    expect("{\"overflow\":\"reject-publish-dlx\",\"dead-letter-exchange\":\"\",\"dead-letter-routing-key\":\"k\"}",
           false, NULL);
    expect("{\"ha-mode\":\"exactly\",\"ha-params\":2,\"ha-sync-mode\":\"automatic\",\"queue-mode\":\"lazy\"}", false,
           NULL);
    expect("{\"alternate-exchange\":\"ae\",\"federation-upstream-set\":\"all\"}", false, NULL);
    expect("{\"delivery-limit\":-1,\"max-age\":\"1D\"}", false, NULL);
    expect_policy("{\"pattern\":\"\",\"definition\":{\"max-length\":1},\"priority\":-5,\"apply-to\":\"exchanges\"}",
                  false, NULL);
}

TEST(what_is_wrong_is_said_in_rabbitmqs_words)
{
    expect("{}", false, "no policy provided");
    expect("{\"nope\":1}", false, "[{<<\"nope\">>,1}] are not recognised policy settings");
    expect("{\"max-length\":-1}", false, "-1 is not a valid maximum length");
    expect("{\"max-length-bytes\":-1}", false, "-1 is not a valid maximum length in bytes");
    expect("{\"max-length\":1.5}", false, "1.5 is not a valid maximum length");
    expect("{\"message-ttl\":\"1\"}", false, "<<\"1\">> is not a valid message TTL");
    expect("{\"expires\":0}", false, "0 is not a valid queue expiry");
    expect("{\"overflow\":\"drop-tail\"}", false, "<<\"drop-tail\">> is not a valid overflow value");
    expect("{\"overflow\":null}", false, "null is not a valid overflow value");
    expect("{\"dead-letter-exchange\":{}}", false, "{} is not a valid dead letter exchange name");
    expect("[]", false, "definition should be an object, actually was []");
}

TEST(a_dead_letters_key_fits_a_routing_key)
{
    char definition[400] = "{\"dead-letter-routing-key\":\"";
    size_t at = strlen(definition);
    memset(definition + at, 'k', ROUTING_KEY_MAX);
    memcpy(definition + at + ROUTING_KEY_MAX, "\"}", 3);
    expect(definition, false, NULL);
    memcpy(definition + at + ROUTING_KEY_MAX, "k\"}", 4);
    char *text = str_format("{\"pattern\":\"^q\",\"definition\":%s}", definition);
    json_t *value = parse(text);
    char *wrong = policy_check(value, false);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "is not a valid dead letter routing key"));
    free(wrong);
    json_decref(value);
    free(text);
}

TEST(a_pattern_is_one)
{
    char *wrong;
    json_t *value = parse("{\"pattern\":\"(\",\"definition\":{\"max-length\":1}}");
    wrong = policy_check(value, false);
    assert_non_null(wrong);
    assert_true(
        bytes_start_with(bytes_of_string(wrong), BYTES("pattern should be regular expression but is invalid: ")));
    free(wrong);
    json_decref(value);
    expect_policy("{\"definition\":{\"max-length\":1}}", false, "pattern should be text, actually was undefined");
    expect_policy("{\"pattern\":1,\"definition\":{\"max-length\":1}}", false, "pattern should be text, actually was 1");
    expect_policy("[]", false, "a policy should be an object, actually was []");
}

TEST(priority_and_scope_are_judged)
{
    expect_policy("{\"pattern\":\"\",\"definition\":{\"max-length\":1},\"priority\":\"1\"}", false,
                  "priority should be a number, actually was <<\"1\">>");
    expect_policy("{\"pattern\":\"\",\"definition\":{\"max-length\":1},\"apply-to\":\"foo\"}", false,
                  "apply-to 'foo' unrecognised; should be 'queues', 'exchanges' or 'all'");
    expect_policy("{\"pattern\":\"\",\"definition\":{\"max-length\":1},\"apply-to\":7}", false,
                  "apply-to should be text, actually was 7");
}

TEST(operators_may_set_less)
{
    expect("{\"message-ttl\":1,\"expires\":1,\"max-length\":1,\"max-length-bytes\":1,\"delivery-limit\":1}", true,
           NULL);
    expect("{\"dead-letter-exchange\":\"x\"}", true,
           "[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings");
    expect("{\"alternate-exchange\":\"x\"}", true,
           "[{<<\"alternate-exchange\">>,<<\"x\">>}] are not recognised policy settings");
}

TEST(limits_are_numbers)
{
    json_t *right = parse("{\"max-connections\":-1,\"max-queues\":0,\"other\":\"x\"}"),
           *wrong = parse("{\"max-queues\":\"1\"}"), *none = parse("[]");
    assert_null(policy_check_limits(right));
    char *why = policy_check_limits(wrong);
    assert_string_equal(why, "max-queues should be a number, actually was <<\"1\">>");
    free(why);
    why = policy_check_limits(none);
    assert_non_null(why);
    free(why);
    json_decref(right);
    json_decref(wrong);
    json_decref(none);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_people_set_is_right),
        cmocka_unit_test(what_is_wrong_is_said_in_rabbitmqs_words),
        cmocka_unit_test(a_dead_letters_key_fits_a_routing_key),
        cmocka_unit_test(a_pattern_is_one),
        cmocka_unit_test(priority_and_scope_are_judged),
        cmocka_unit_test(operators_may_set_less),
        cmocka_unit_test(limits_are_numbers),
    };
    return unit_main("policy", tests, argc, argv);
}
