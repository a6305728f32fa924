#include "tests/unit/unit.h"

#include <string.h>

#include "amqp/output.h"

/* A message whose body is n bytes that differ. */
static struct message *message_of(size_t n, unsigned salt)
{
    struct message *m = message_create(&(struct message_spec){.body_size = n});
    for (size_t i = 0; i < n; i++)
        message_fill(m, bytes_of((const uint8_t[]){(uint8_t)(i * 31 + salt)}, 1));
    return m;
}

static void put(struct output *o, const char *text)
{
    struct pen p = output_open(o, strlen(text));
    pen_bytes(&p, bytes_of_string(text));
    output_close(o, &p);
}

/* Takes up to n bytes off the front, as a socket would; answers their cost. */
static uint64_t take(struct output *o, uint8_t *to, size_t n, size_t *taken)
{
    struct iovec iov[8];
    int pieces = output_gather(o, iov, 8);
    *taken = 0;
    for (int i = 0; i < pieces; i++) {
        size_t part = iov[i].iov_len < n - *taken ? iov[i].iov_len : n - *taken;
        memcpy(to + *taken, iov[i].iov_base, part);
        *taken += part;
    }
    return output_wrote(o, *taken);
}

TEST(what_is_put_comes_out)
{
    struct output o;
    uint8_t to[32];
    size_t n;
    output_init(&o);
    put(&o, "one ");
    put(&o, "two");
    assert_int_equal(o.bytes, 7);
    take(&o, to, sizeof to, &n);
    assert_int_equal(n, 7);
    assert_memory_equal(to, "one two", 7);
    assert_true(output_is_empty(&o));
}

TEST(what_is_adjacent_is_one_piece)
{
    struct output o;
    struct iovec iov[4];
    output_init(&o);
    put(&o, "one ");
    put(&o, "two");
    assert_int_equal(output_gather(&o, iov, 4), 1);
    assert_int_equal(iov[0].iov_len, 7);
    output_fini(&o);
}

TEST(an_empty_output_holds_no_memory)
{
    struct output o;
    uint8_t to[16];
    size_t n;
    output_init(&o);
    put(&o, "text");
    take(&o, to, sizeof to, &n);
    assert_null(o.first);
    assert_null(o.pieces);
}

TEST(a_slice_keeps_its_message_until_it_is_written)
{
    struct output o;
    uint8_t to[16];
    size_t n;
    struct message *m = message_of(10, 1);
    output_init(&o);
    output_refer(&o, m, message_body(m, 0));
    assert_int_equal(atomic_load(&m->refs), 2);
    take(&o, to, 9, &n);
    assert_int_equal(atomic_load(&m->refs), 2);
    take(&o, to, 9, &n);
    assert_int_equal(n, 1);
    assert_int_equal(atomic_load(&m->refs), 1);
    message_unref(m);
}

TEST(a_cost_is_given_back_with_the_last_byte)
{
    struct output o;
    uint8_t to[16];
    size_t n;
    struct message *m = message_of(4, 1);
    output_init(&o);
    put(&o, "head");
    output_refer(&o, m, message_body(m, 0));
    put(&o, "!");
    output_cost(&o, 100);
    assert_int_equal(take(&o, to, 8, &n), 0);
    assert_int_equal(take(&o, to, 1, &n), 100);
    message_unref(m);
}

TEST(what_is_dropped_lets_go_of_its_messages)
{
    struct output o;
    struct message *m = message_of(4, 1);
    output_init(&o);
    put(&o, "head");
    output_refer(&o, m, message_body(m, 0));
    output_fini(&o);
    assert_int_equal(atomic_load(&m->refs), 1);
    message_unref(m);
}

TEST(what_is_larger_than_a_block_is_contiguous_all_the_same)
{
    struct output o;
    struct iovec iov[2];
    output_init(&o);
    struct pen p = output_open(&o, 3 * OUTPUT_BLOCK);
    for (unsigned i = 0; i < 3 * OUTPUT_BLOCK; i++)
        pen_u8(&p, (uint8_t)i);
    output_close(&o, &p);
    assert_int_equal(output_gather(&o, iov, 2), 1);
    assert_int_equal(iov[0].iov_len, 3 * OUTPUT_BLOCK);
    output_fini(&o);
}

TEST(room_that_was_not_used_leaves_no_trace)
{
    struct output o;
    uint8_t to[8];
    size_t n;
    output_init(&o);
    put(&o, "a");
    struct pen p = output_open(&o, 2 * OUTPUT_BLOCK);
    output_close(&o, &p);
    put(&o, "b");
    take(&o, to, sizeof to, &n);
    assert_memory_equal(to, "ab", 2);
    assert_true(output_is_empty(&o));
}

enum { STREAM = 1 << 20 };

/* Appends something at random to both; answers what it costs. */
static uint64_t append(struct output *o, uint8_t *stream, size_t *at)
{
    size_t n = (size_t)rand() % (rand() % 20 == 0 ? 40000 : 300) + 1;
    uint64_t cost = rand() % 2 == 0 ? (uint64_t)rand() % 1000 : 0;
    if (rand() % 4 == 0) {
        struct message *m = message_of(n, (unsigned)rand());
        struct bytes slice = message_body(m, 0);
        memcpy(stream + *at, slice.at, slice.len);
        *at += slice.len;
        output_refer(o, m, slice);
        message_unref(m);
    } else {
        struct pen p = output_open(o, n + (size_t)rand() % 2000);
        for (size_t i = 0; i < n; i++)
            pen_u8(&p, (uint8_t)rand());
        memcpy(stream + *at, p.start, n);
        *at += n;
        output_close(o, &p);
    }
    output_cost(o, cost);
    return cost;
}

TEST(any_mixture_comes_out_as_it_went_in)
{
    uint8_t *in = malloc(STREAM), *out = malloc(STREAM);
    for (unsigned seed = 1; seed <= 30; seed++) {
        struct output o;
        size_t put_in = 0, taken = 0, n;
        uint64_t owed = 0;
        output_init(&o);
        srand(seed);
        while (put_in < STREAM - 50000) {
            for (int i = rand() % 5; i > 0 && put_in < STREAM - 50000; i--)
                owed += append(&o, in, &put_in);
            owed -= take(&o, out + taken, (size_t)rand() % 5000, &n);
            taken += n;
        }
        while (!output_is_empty(&o)) {
            owed -= take(&o, out + taken, (size_t)rand() % 20000, &n);
            taken += n;
        }
        assert_int_equal(taken, put_in);
        assert_memory_equal(in, out, put_in);
        assert_int_equal(owed, 0);
    }
    free(in);
    free(out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_out),
        cmocka_unit_test(what_is_adjacent_is_one_piece),
        cmocka_unit_test(an_empty_output_holds_no_memory),
        cmocka_unit_test(a_slice_keeps_its_message_until_it_is_written),
        cmocka_unit_test(a_cost_is_given_back_with_the_last_byte),
        cmocka_unit_test(what_is_dropped_lets_go_of_its_messages),
        cmocka_unit_test(what_is_larger_than_a_block_is_contiguous_all_the_same),
        cmocka_unit_test(room_that_was_not_used_leaves_no_trace),
        cmocka_unit_test(any_mixture_comes_out_as_it_went_in),
    };
    return unit_main("amqp/output", tests, argc, argv);
}
