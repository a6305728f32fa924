#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "broker/port/message.h"

/* A byte of a body, by where it is. */
static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static uint8_t *make_body(size_t size)
{
    uint8_t *b = malloc(size + 1);
    assert_non_null(b);
    for (size_t i = 0; i < size; i++)
        b[i] = byte_at(i);
    return b;
}

static void assert_has_body(const struct message *m, size_t size)
{
    struct body_walk walk = message_walk(m);
    size_t at = 0;
    for (struct bytes b; (b = body_walk_next(&walk)).len > 0; at += b.len)
        for (size_t i = 0; i < b.len; i++)
            if (b.at[i] != byte_at(at + i))
                fail_msg("byte %zu of %zu", at + i, size);
    assert_int_equal(at, size);
    assert_int_equal(m->body_size, size);
}

static void assert_is_as_specified(const struct message *m, const struct message_spec *s)
{
    assert_true(bytes_equal(message_exchange(m), s->exchange));
    assert_true(bytes_equal(message_key(m), s->routing_key));
    assert_true(bytes_equal(message_properties(m), s->properties));
    assert_true(bytes_equal(message_extra_keys(m), s->extra_keys));
    assert_int_equal(message_extra_keys_len(m), s->extra_keys.len);
    assert_int_equal(message_cc_count(m), s->cc_count);
    assert_int_equal(message_deaths(m), s->deaths);
    assert_int_equal(message_expiration_ms(m), s->expiration_ms);
    assert_int_equal(m->priority, s->priority);
    assert_int_equal(m->flags & ~MESSAGE_IS_RARE, s->flags & ~MESSAGE_IS_RARE);
}

/* The n-th of all ways in which a message can have what few have. */
static struct message_spec nth_spec(unsigned n, size_t size)
{
    return (struct message_spec){
        .exchange = BYTES("x"),
        .routing_key = BYTES("key"),
        .properties = bytes_of("\x10\0\2", 3),
        .extra_keys = (n & 1) != 0 ? bytes_of("\0\0\0\1a", 5) : (struct bytes){0},
        .cc_count = (n & 1) != 0,
        .deaths = (n & 2) != 0 ? 5 : 0,
        .expiration_ms = (n & 4) != 0 ? 60 : MESSAGE_NO_EXPIRATION,
        .flags = (n & 8) != 0 ? MESSAGE_PERSISTENT | MESSAGE_IS_RARE : MESSAGE_HAS_HEADERS,
        .priority = 3,
        .body_size = size,
    };
}

static const size_t sizes[] = {0,
                               1,
                               3,
                               4,
                               5,
                               100,
                               MESSAGE_INLINE_MAX - 1,
                               MESSAGE_INLINE_MAX,
                               MESSAGE_INLINE_MAX + 1,
                               MESSAGE_INLINE_MAX + 2 * MESSAGE_CHUNK_MAX,
                               MESSAGE_INLINE_MAX + 2 * MESSAGE_CHUNK_MAX + 1};
enum { SIZES = sizeof sizes / sizeof sizes[0], WAYS = 16 };

TEST(a_message_has_what_it_was_made_of)
{
    uint8_t *body = make_body(sizes[SIZES - 1]);
    for (unsigned i = 0; i < SIZES * WAYS; i++) {
        size_t size = sizes[i / WAYS], step = size / 3 + 1;
        struct message_spec spec = nth_spec(i % WAYS, size);
        struct message *m = message_create(&spec);
        for (size_t at = 0, n; at < size; at += n) {
            n = size - at < step ? size - at : step;
            assert_int_equal(message_missing(m), size - at);
            message_fill(m, bytes_of(body + at, n));
        }
        assert_int_equal(message_missing(m), 0);
        assert_is_as_specified(m, &spec);
        assert_has_body(m, size);
        assert_int_equal(message_is_in_one_piece(m), size <= MESSAGE_INLINE_MAX);
        message_unref(m);
    }
    free(body);
}

TEST(a_body_may_be_shared_and_outlives_whose_it_was)
{
    uint8_t *body = make_body(sizes[SIZES - 1]);
    for (unsigned i = 0; i < SIZES * WAYS; i++) {
        struct message_spec first = nth_spec(0, sizes[i / WAYS]), second = nth_spec(i % WAYS, 77);
        struct message *a = message_create(&first);
        message_fill(a, bytes_of(body, sizes[i / WAYS]));
        struct message *b = message_create_with_body(&second, a), *c = message_create_with_body(&first, b);
        message_unref(a);
        message_unref(b);
        assert_is_as_specified(c, &first);
        assert_has_body(c, sizes[i / WAYS]);
        assert_false(message_is_in_one_piece(c));
        message_unref(c);
    }
    free(body);
}

TEST(a_message_like_another_has_a_body_of_its_own)
{
    uint8_t *body = make_body(MESSAGE_INLINE_MAX);
    for (unsigned i = 0; i < SIZES * WAYS; i++) {
        size_t size = sizes[i / WAYS] > MESSAGE_INLINE_MAX ? 0 : sizes[i / WAYS];
        struct message_spec spec = nth_spec(i % WAYS, 0);
        struct message *pattern = message_create(&spec);
        struct message *m = message_create_like(pattern, bytes_of(body, size));
        message_unref(pattern);
        assert_is_as_specified(m, &spec);
        assert_has_body(m, size);
        assert_int_equal(message_missing(m), 0);
        assert_true(message_is_in_one_piece(m));
        message_unref(m);
    }
    free(body);
}

TEST(a_message_that_is_made_whole_is_like_one_that_is_filled)
{
    uint8_t *body = make_body(MESSAGE_INLINE_MAX);
    for (unsigned i = 0; i < SIZES * WAYS; i++) {
        size_t size = sizes[i / WAYS] > MESSAGE_INLINE_MAX ? 0 : sizes[i / WAYS];
        struct message_spec spec = nth_spec(i % WAYS, 99);
        struct message *m = message_create_whole(&spec, bytes_of(body, size));
        assert_is_as_specified(m, &spec);
        assert_has_body(m, size);
        assert_int_equal(message_missing(m), 0);
        assert_true(message_is_in_one_piece(m));
        message_unref(m);
    }
    free(body);
}

TEST(every_reference_holds_it)
{
    struct message_spec spec = nth_spec(0, 5);
    struct message *m = message_create(&spec);
    message_fill(m, bytes_of("\x00\x07\x0e\x15\x1c", 5));
    message_ref_many(m, 3);
    assert_ptr_equal(message_ref(m), m);
    for (unsigned i = 0; i < 4; i++) {
        message_unref(m);
        assert_has_body(m, 5);
    }
    message_unref(m); /* leaks and double frees are for AddressSanitizer to see */
}

/* A waiting message is to cost at most 64 bytes beyond its own: this is its header's part. */
TEST(an_ordinary_header_is_small)
{
    assert_true(offsetof(struct message, data) <= 32);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_has_what_it_was_made_of),
        cmocka_unit_test(a_body_may_be_shared_and_outlives_whose_it_was),
        cmocka_unit_test(a_message_like_another_has_a_body_of_its_own),
        cmocka_unit_test(a_message_that_is_made_whole_is_like_one_that_is_filled),
        cmocka_unit_test(every_reference_holds_it),
        cmocka_unit_test(an_ordinary_header_is_small),
    };
    return unit_main("broker/port/message", tests, argc, argv);
}
