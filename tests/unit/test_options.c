#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "amqp/options.h"
#include "codec/table.h"

/* One argument: a key, and its letter and value as they are encoded. */
struct argument {
    const char *key;
    struct bytes value;
};

#define VALUE(text)                                                                                                    \
    {                                                                                                                  \
        (const uint8_t *)(text), sizeof(text) - 1                                                                      \
    }
#define TEXT(letters, text) VALUE("S\0\0\0" letters text)

static struct bytes table_of(const struct argument *arguments, size_t n, uint8_t room[1024])
{
    struct pen p = pen_over(room, 1024);
    for (size_t i = 0; i < n; i++) {
        pen_shortstr(&p, bytes_of_string(arguments[i].key));
        pen_bytes(&p, arguments[i].value);
    }
    assert_true(table_check(pen_written(&p), TABLE_DEPTH_MAX));
    return pen_written(&p);
}

static char *read_queue(struct spec *spec, const struct argument *arguments, size_t n, uint8_t room[1024])
{
    *spec = (struct spec){.name = BYTES("q"), .arguments = table_of(arguments, n, room)};
    return options_read_queue(spec, BYTES("/"));
}

TEST(what_is_given_is_kept)
{
    static const struct argument arguments[] = {
        {"x-message-ttl", VALUE("s\x75\x30")},
        {"x-expires", VALUE("l\0\0\0\x49\x6C\xEB\xB8\x00")},
        {"x-max-length", VALUE("B\xFF")},
        {"x-max-length-bytes", VALUE("i\xFF\xFF\xFF\xFF")},
        {"x-overflow", TEXT("\x0E", "reject-publish")},
        {"x-dead-letter-exchange", TEXT("\0", "")},
        {"x-dead-letter-routing-key", TEXT("\3", "key")},
    };
    struct spec spec;
    uint8_t room[1024];
    assert_null(read_queue(&spec, arguments, 7, room));
    assert_int_equal(spec.options.message_ttl_ms, 30000);
    assert_int_equal(spec.options.expires_ms, 315360000000);
    assert_int_equal(spec.options.max_length, 255);
    assert_int_equal(spec.options.max_length_bytes, 0xFFFFFFFF);
    assert_int_equal(spec.options.overflow, OVERFLOW_REJECT_PUBLISH);
    assert_true(spec.options.has_dead_letter_exchange);
    assert_int_equal(spec.options.dead_letter_exchange.len, 0);
    assert_true(spec.options.has_dead_letter_routing_key);
    assert_true(bytes_equal(spec.options.dead_letter_routing_key, BYTES("key")));
}

TEST(what_is_not_given_is_none)
{
    struct spec spec;
    uint8_t room[1024];
    assert_null(read_queue(&spec, NULL, 0, room));
    assert_int_equal(spec.options.message_ttl_ms, SPEC_NONE);
    assert_int_equal(spec.options.expires_ms, SPEC_NONE);
    assert_int_equal(spec.options.max_length, SPEC_NONE);
    assert_int_equal(spec.options.max_length_bytes, SPEC_NONE);
    assert_int_equal(spec.options.overflow, OVERFLOW_DROP_HEAD);
    assert_false(spec.options.has_dead_letter_exchange);
    assert_false(spec.options.has_dead_letter_routing_key);
}

TEST(options_keep_pointing_into_the_specs_own_arguments)
{
    static const struct argument arguments[] = {{"x-dead-letter-exchange", TEXT("\3", "dlx")}};
    struct spec spec;
    uint8_t room[1024];
    assert_null(read_queue(&spec, arguments, 1, room));
    struct spec *copy = spec_create(&spec);
    memset(room, 0, sizeof room);
    assert_true(bytes_equal(copy->options.dead_letter_exchange, BYTES("dlx")));
    free(copy);
}

/* Each refusal of reference amqp-protocol 6.4. */
static const struct {
    struct argument argument;
    const char *why; /* NULL: accepted */
} values[] = {
    {{"x-queue-type", TEXT("\7", "classic")}, NULL},
    {{"x-queue-type", TEXT("\0", "")}, NULL},
    {{"x-queue-type", TEXT("\3", "foo")}, "\"unsupported queue type 'foo'\""},
    {{"x-queue-type", VALUE("b\1")}, "{unacceptable_type,byte}"},
    {{"x-expires", VALUE("b\0")}, "{value_zero,0}"},
    {{"x-expires", VALUE("b\xFF")}, "{value_negative,-1}"},
    {{"x-expires", VALUE("l\0\0\0\x49\x6C\xEB\xB8\x01")}, "{value_too_large,315360000001}"},
    {{"x-expires", VALUE("t\1")}, "\"expected integer, got bool\""},
    {{"x-message-ttl", VALUE("b\0")}, NULL},
    {{"x-message-ttl", VALUE("L\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")}, "{value_negative,-1}"},
    {{"x-message-ttl", TEXT("\1", "5")}, "\"expected integer, got longstr\""},
    {{"x-message-ttl", VALUE("T\0\0\0\0\0\0\0\1")}, "\"expected integer, got timestamp\""},
    {{"x-message-ttl", VALUE("V")}, "\"expected integer, got void\""},
    {{"x-max-length", VALUE("I\xFF\xFF\xFF\xFF")}, "{value_negative,-1}"},
    {{"x-max-length-bytes", VALUE("d\0\0\0\0\0\0\0\0")}, "\"expected integer, got double\""},
    {{"x-max-priority", VALUE("u\0\xFF")}, NULL},
    {{"x-max-priority", VALUE("u\1\0")}, "{max_value_exceeded,256}"},
    {{"x-max-priority", VALUE("b\xFF")}, "{value_negative,-1}"},
    {{"x-overflow", TEXT("\x12", "reject-publish-dlx")}, NULL},
    {{"x-overflow", TEXT("\6", "reject")}, "invalid_overflow"},
    {{"x-overflow", VALUE("t\1")}, "{unacceptable_type,bool}"},
    {{"x-queue-mode", TEXT("\3", "foo")}, NULL},
    {{"x-queue-version", VALUE("b\1")}, NULL},
    {{"x-queue-version", VALUE("b\3")}, "\"unsupported queue version '3'\""},
    {{"x-single-active-consumer", VALUE("t\1")}, NULL},
    {{"x-single-active-consumer", VALUE("b\1")}, "{unacceptable_type,byte}"},
    {{"x-dead-letter-routing-key", TEXT("\1", "k")}, "routing_key_but_no_dlx_defined"},
    {{"x-dead-letter-routing-key", VALUE("b\1")}, "{unacceptable_type,byte}"},
    {{"x-dead-letter-strategy", TEXT("\3", "foo")}, "invalid_dlx_strategy"},
    {{"x-delivery-limit", VALUE("b\xFF")}, NULL},
    {{"x-delivery-limit", TEXT("\1", "1")}, "\"expected integer, got longstr\""},
    {{"x-consumer-timeout", VALUE("b\1")}, NULL},
    {{"x-anything", VALUE("V")}, NULL},
};

TEST(values_are_refused_in_rabbitmqs_words)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct spec spec;
        uint8_t room[1024];
        char expected[256];
        char *text = read_queue(&spec, &values[i].argument, 1, room);
        snprintf(expected, sizeof expected, "invalid arg '%s' for queue 'q' in vhost '/': %s", values[i].argument.key,
                 values[i].why == NULL ? "" : values[i].why);
        if (values[i].why == NULL)
            assert_null(text);
        else
            assert_string_equal(text, expected);
        free(text);
    }
}

TEST(arguments_of_other_queue_types_are_foreign)
{
    static const struct argument foreign[] = {{"x-max-age", TEXT("\2", "1D")}};
    struct spec spec;
    uint8_t room[1024];
    char *text = read_queue(&spec, foreign, 1, room);
    assert_string_equal(text, "invalid arg 'x-max-age' for queue 'q' in vhost '/' of queue type rabbit_classic_queue");
    free(text);
}

TEST(the_dead_letter_exchange_is_looked_at_first_and_has_words_of_its_own)
{
    static const struct argument arguments[] = {
        {"x-queue-type", TEXT("\3", "foo")},
        {"x-dead-letter-exchange", VALUE("I\0\0\0\1")},
    };
    struct spec spec;
    uint8_t room[1024];
    char *text = read_queue(&spec, arguments, 2, room);
    assert_string_equal(text, "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'");
    free(text);
}

TEST(the_first_in_the_order_of_checks_is_reported_not_the_first_given)
{
    static const struct argument arguments[] = {
        {"x-max-age", TEXT("\2", "1D")},
        {"x-max-length", VALUE("b\xFF")},
        {"x-expires", VALUE("b\0")},
    };
    struct spec spec;
    uint8_t room[1024];
    char *text = read_queue(&spec, arguments, 3, room);
    assert_string_equal(text, "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}");
    free(text);
}

TEST(of_two_with_one_key_the_first_counts)
{
    static const struct argument arguments[] = {{"x-max-length", VALUE("b\5")}, {"x-max-length", VALUE("b\xFF")}};
    struct spec spec;
    uint8_t room[1024];
    assert_null(read_queue(&spec, arguments, 2, room));
    assert_int_equal(spec.options.max_length, 5);
}

TEST(arguments_are_counted)
{
    struct argument many[SPEC_ARGUMENTS_MAX + 1];
    struct spec spec;
    uint8_t room[1024];
    for (size_t i = 0; i <= SPEC_ARGUMENTS_MAX; i++)
        many[i] = (struct argument){"a", VALUE("V")};
    assert_null(read_queue(&spec, many, SPEC_ARGUMENTS_MAX, room));
    assert_null(options_check_count(spec.arguments));
    char *text = read_queue(&spec, many, SPEC_ARGUMENTS_MAX + 1, room);
    assert_string_equal(text, "more than 64 arguments");
    free(text);
    struct error *e = options_check_count(spec.arguments);
    assert_string_equal(e->text, "PRECONDITION_FAILED - more than 64 arguments");
    free(e);
}

TEST(a_consumer_has_a_priority)
{
    static const struct argument good[] = {{"x-priority", VALUE("b\xFD")}};
    static const struct argument bad[] = {{"x-priority", TEXT("\1", "5")}};
    struct spec spec = {.name = BYTES("q")};
    uint8_t room[1024];
    spec.arguments = table_of(good, 1, room);
    assert_null(options_read_consumer(&spec, BYTES("/")));
    assert_int_equal(spec.priority, -3);
    spec.arguments = table_of(bad, 1, room);
    char *text = options_read_consumer(&spec, BYTES("/"));
    assert_string_equal(text, "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"");
    free(text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_kept),
        cmocka_unit_test(what_is_not_given_is_none),
        cmocka_unit_test(options_keep_pointing_into_the_specs_own_arguments),
        cmocka_unit_test(values_are_refused_in_rabbitmqs_words),
        cmocka_unit_test(arguments_of_other_queue_types_are_foreign),
        cmocka_unit_test(the_dead_letter_exchange_is_looked_at_first_and_has_words_of_its_own),
        cmocka_unit_test(the_first_in_the_order_of_checks_is_reported_not_the_first_given),
        cmocka_unit_test(of_two_with_one_key_the_first_counts),
        cmocka_unit_test(arguments_are_counted),
        cmocka_unit_test(a_consumer_has_a_priority),
    };
    return unit_main("amqp/options", tests, argc, argv);
}
