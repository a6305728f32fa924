#include "broker/port/definition.h"
#include "broker/port/queue_options.h"

#include <stdlib.h>
#include <string.h>

#include "codec/table.h"
#include "tests/unit/unit.h"

static const struct queue_options plain = QUEUE_OPTIONS_NONE;

static void expect_bytes(struct bytes is, struct bytes expected)
{
    assert_true(bytes_equal(is, expected));
}

static struct spec *there_and_back(enum definition_class what, struct spec s)
{
    struct bytes vhost;
    struct definition *d = definition_define(what, 5, BYTES("v"), &s),
                      *gone = definition_undefine(what, 5, BYTES("v"), &s);
    assert_int_equal(d->what, what);
    assert_int_equal(d->queue, 5);
    assert_int_equal(gone->value.len, 0);
    expect_bytes(gone->key, d->key);
    struct spec *back = definition_read_spec(what, d->key, d->value, &vhost);
    assert_non_null(back);
    expect_bytes(vhost, what == DEFINE_VHOST ? s.name : BYTES("v"));
    free(d);
    free(gone);
    return back;
}

static struct bytes some_arguments(struct pen *p)
{
    table_put_i64(p, BYTES("x-max-length"), 7);
    table_put_string(p, BYTES("x-dead-letter-exchange"), BYTES("dlx"));
    table_put_string(p, BYTES("x-dead-letter-routing-key"), BYTES(""));
    return pen_written(p);
}

TEST(an_exchange_comes_back_as_it_was)
{
    uint8_t buf[200];
    struct pen p = pen_over(buf, sizeof buf);
    struct spec s = {.name = BYTES("x"),
                     .type = BYTES("topic"),
                     .durable = true,
                     .internal = true,
                     .auto_delete = true,
                     .arguments = some_arguments(&p),
                     .source = BYTES("of no account"),
                     .to_exchange = true};
    struct spec *back = there_and_back(DEFINE_EXCHANGE, s);
    expect_bytes(back->name, s.name);
    expect_bytes(back->type, s.type);
    expect_bytes(back->arguments, s.arguments);
    expect_bytes(back->source, BYTES(""));
    assert_true(back->durable && back->internal && back->auto_delete && !back->to_exchange);
    free(back);
}

TEST(a_queue_comes_back_with_its_options)
{
    uint8_t buf[200];
    struct pen p = pen_over(buf, sizeof buf);
    struct spec s = {.name = BYTES("q"),
                     .durable = true,
                     .arguments = some_arguments(&p),
                     .options = {.message_ttl_ms = 1,
                                 .expires_ms = 2,
                                 .max_length = UINT64_MAX - 1,
                                 .max_length_bytes = SPEC_NONE,
                                 .overflow = OVERFLOW_REJECT_PUBLISH_DLX}};
    struct spec *back = there_and_back(DEFINE_QUEUE, s);
    const struct queue_options *o = &back->options;
    assert_int_equal(o->message_ttl_ms, 1);
    assert_int_equal(o->expires_ms, 2);
    assert_true(o->max_length == UINT64_MAX - 1 && o->max_length_bytes == SPEC_NONE);
    assert_int_equal(o->overflow, OVERFLOW_REJECT_PUBLISH_DLX);
    assert_true(o->has_dead_letter_exchange && o->has_dead_letter_routing_key);
    expect_bytes(o->dead_letter_exchange, BYTES("dlx"));
    expect_bytes(o->dead_letter_routing_key, BYTES(""));
    assert_true(o->dead_letter_exchange.at > back->data); /* in the spec's own copy */
    assert_true(back->durable && !back->auto_delete && !back->internal);
    free(back);
}

TEST(a_binding_comes_back_as_it_was)
{
    uint8_t buf[200];
    struct pen p = pen_over(buf, sizeof buf);
    struct spec s = {.name = BYTES("q"),
                     .source = BYTES("x"),
                     .key = BYTES("a.#"),
                     .to_exchange = true,
                     .arguments = some_arguments(&p)};
    struct spec *back = there_and_back(DEFINE_BINDING, s);
    expect_bytes(back->name, s.name);
    expect_bytes(back->source, s.source);
    expect_bytes(back->key, s.key);
    expect_bytes(back->arguments, s.arguments);
    assert_true(back->to_exchange);
    free(back);
}

TEST(a_virtual_host_is_its_name)
{
    struct spec *back = there_and_back(DEFINE_VHOST, (struct spec){.name = BYTES("prod")});
    expect_bytes(back->name, BYTES("prod"));
    free(back);
}

TEST(what_administrators_make_keeps_its_table)
{
    static const enum definition_class all[] = {DEFINE_USER, DEFINE_PERMISSION, DEFINE_TOPIC_PERMISSION,
                                                DEFINE_PARAMETER};
    uint8_t buf[200];
    struct pen p = pen_over(buf, sizeof buf);
    const struct spec s = {
        .name = BYTES("ann"), .type = BYTES("policy"), .key = BYTES("amq.topic"), .arguments = some_arguments(&p)};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct spec *back = there_and_back(all[i], s);
        expect_bytes(back->name, s.name);
        expect_bytes(back->type, s.type);
        expect_bytes(back->key, s.key);
        expect_bytes(back->arguments, s.arguments);
        assert_string_not_equal(definition_word(all[i]), "unknown");
        free(back);
    }
}

static bool same_key(enum definition_class what, const char *vhost, struct spec a, struct spec b)
{
    struct definition *x = definition_undefine(what, 1, BYTES("v"), &a);
    struct definition *y = definition_undefine(what, 1, bytes_of_string(vhost), &b);
    bool same = bytes_equal(x->key, y->key);
    free(x);
    free(y);
    return same;
}

TEST(a_key_is_of_one_thing_alone)
{
    const struct spec s = {.name = BYTES("ab"), .source = BYTES("c"), .key = BYTES("d")};
    struct spec t = s;
    assert_true(same_key(DEFINE_BINDING, "v", s, t));
    assert_false(same_key(DEFINE_BINDING, "w", s, t));
    assert_false(same_key(DEFINE_QUEUE, "w", s, t));
    t.to_exchange = true;
    assert_false(same_key(DEFINE_BINDING, "v", s, t));
    t = s;
    t.name = BYTES("a");
    t.source = BYTES("bc"); /* the same letters in a row */
    assert_false(same_key(DEFINE_BINDING, "v", s, t));
    t = s;
    t.key = BYTES("e");
    assert_false(same_key(DEFINE_BINDING, "v", s, t));
    t = s;
    t.arguments = bytes_of("\1kt\1", 4);
    assert_false(same_key(DEFINE_BINDING, "v", s, t));
    t = s;
    t.durable = t.auto_delete = true; /* of no account */
    assert_true(same_key(DEFINE_QUEUE, "v", s, t));
    assert_true(same_key(DEFINE_EXCHANGE, "v", s, t));
}

static bool reads(enum definition_class what, struct bytes key, struct bytes value)
{
    struct bytes vhost;
    struct spec *s = definition_read_spec(what, key, value, &vhost);
    free(s);
    return s != NULL;
}

TEST(what_is_cut_short_or_too_long_is_refused)
{
    uint8_t buf[200], copy[400];
    struct pen p = pen_over(buf, sizeof buf);
    const struct spec s = {.name = BYTES("q"),
                           .source = BYTES("x"),
                           .type = BYTES("fanout"),
                           .arguments = some_arguments(&p),
                           .options = plain};
    for (int what = DEFINE_VHOST; what < DEFINE_PART; what++) {
        struct definition *d = definition_define((enum definition_class)what, 1, BYTES("v"), &s);
        assert_true(reads((enum definition_class)what, d->key, d->value));
        for (size_t n = 0; n < d->value.len; n++)
            assert_false(reads((enum definition_class)what, d->key, bytes_of(d->value.at, n)));
        memcpy(copy, d->value.at, d->value.len);
        copy[d->value.len] = 0;
        assert_false(reads((enum definition_class)what, d->key, bytes_of(copy, d->value.len + 1)));
        assert_false(reads((enum definition_class)what, bytes_of(d->key.at, d->key.len - 1), d->value));
        copy[0]++; /* another version */
        assert_false(reads((enum definition_class)what, d->key, bytes_of(copy, d->value.len)));
        free(d);
    }
    assert_false(reads(DEFINE_CLASSES, BYTES(""), BYTES("")));
}

TEST(a_part_of_a_stream_comes_back)
{
    const struct definition_part p = {.queue = 7, .first = 1, .count = 2, .bytes = 3, .size = 4, .last_ms = UINT64_MAX};
    struct definition *d = definition_of_part(&p, true), *gone = definition_of_part(&p, false);
    struct definition_part back;
    struct bytes vhost, name;
    uint8_t copy[100] = {0};
    assert_true(definition_read_part(7, d->key, d->value, &back));
    assert_memory_equal(&back, &p, sizeof p);
    assert_true(bytes_equal(d->key, gone->key));
    assert_true(definition_read_key(DEFINE_PART, d->key, &vhost, &name));
    assert_false(definition_read_part(8, d->key, d->value, &back)); /* another's */
    assert_false(definition_read_part(7, d->key, gone->value, &back));
    for (size_t n = 0; n < d->value.len; n++)
        assert_false(definition_read_part(7, d->key, bytes_of(d->value.at, n), &back));
    memcpy(copy, d->value.at, d->value.len);
    assert_false(definition_read_part(7, d->key, bytes_of(copy, d->value.len + 1), &back));
    assert_false(definition_read_part(7, bytes_of(d->key.at, d->key.len - 1), d->value, &back));
    copy[0]++; /* another version */
    assert_false(definition_read_part(7, d->key, bytes_of(copy, d->value.len), &back));
    assert_false(reads(DEFINE_PART, d->key, d->value)); /* no spec says it */
    free(d);
    free(gone);
}

TEST(no_byte_that_is_changed_brings_it_down)
{
    uint8_t buf[200], copy[400];
    struct pen p = pen_over(buf, sizeof buf);
    const struct spec s = {.name = BYTES("q"), .durable = true, .arguments = some_arguments(&p), .options = plain};
    struct definition *d = definition_define(DEFINE_QUEUE, 1, BYTES("v"), &s);
    for (size_t i = 0; i < d->value.len; i++)
        for (unsigned v = 0; v < 256; v++) {
            memcpy(copy, d->value.at, d->value.len);
            copy[i] = (uint8_t)v;
            reads(DEFINE_QUEUE, d->key, bytes_of(copy, d->value.len));
        }
    free(d);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange_comes_back_as_it_was),
        cmocka_unit_test(a_queue_comes_back_with_its_options),
        cmocka_unit_test(a_binding_comes_back_as_it_was),
        cmocka_unit_test(a_virtual_host_is_its_name),
        cmocka_unit_test(what_administrators_make_keeps_its_table),
        cmocka_unit_test(a_key_is_of_one_thing_alone),
        cmocka_unit_test(what_is_cut_short_or_too_long_is_refused),
        cmocka_unit_test(a_part_of_a_stream_comes_back),
        cmocka_unit_test(no_byte_that_is_changed_brings_it_down),
    };
    return unit_main("definition", tests, argc, argv);
}
