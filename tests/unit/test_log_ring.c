#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/log_ring.h"

/* The text from that number on is "N\n" for each line that is left, and nothing else; answers the first. */
static uint64_t expect_numbers(uint64_t from, uint64_t last, int width)
{
    uint64_t next;
    size_t length, at = 0;
    char *text = log_ring_read(&from, &next, &length), line[LOG_RING_BYTES + 1];
    assert_int_equal(next, last + 1);
    for (uint64_t i = from; i <= last; i++) {
        size_t n = (size_t)snprintf(line, sizeof line, "%0*llu\n", width, (unsigned long long)i);
        assert_true(at + n <= length);
        assert_memory_equal(text + at, line, n);
        at += n;
    }
    assert_int_equal(at, length);
    free(text);
    return from;
}

static uint64_t put_numbers(uint64_t from, unsigned n, int width)
{
    char line[LOG_RING_BYTES + 1];
    for (unsigned i = 0; i < n; i++, from++)
        log_ring_put(line, (size_t)snprintf(line, sizeof line, "%0*llu\n", width, (unsigned long long)from));
    return from - 1;
}

/* One after the other: the ring is the program's only one. */
TEST(lines_come_in_order_until_there_is_no_room_and_the_oldest_go)
{
    uint64_t from = 0, next;
    size_t length;
    free(log_ring_read(&from, &next, &length));
    assert_int_equal(length, 0);
    assert_int_equal(from, 1);
    assert_int_equal(next, 1);
    uint64_t last = put_numbers(1, 3, 99);
    assert_int_equal(expect_numbers(0, last, 99), 1);
    assert_int_equal(expect_numbers(3, last, 99), 3);
    assert_int_equal(expect_numbers(4, last, 99), 4); /* none yet */
    last = put_numbers(last + 1, 10000, 99);
    assert_int_equal(expect_numbers(0, last, 99), last + 1 - LOG_RING_BYTES / 100);
    assert_int_equal(expect_numbers(last, last, 99), last);
    free(log_ring_read(&(uint64_t){last + 1000}, &next, &length)); /* of a run before */
    assert_int_equal(length, 0);
    last = put_numbers(last + 1, 1, LOG_RING_BYTES - 1); /* all the room there is */
    assert_int_equal(expect_numbers(0, last, LOG_RING_BYTES - 1), last);
    char *large = calloc(1, LOG_RING_BYTES + 1);
    log_ring_put(large, LOG_RING_BYTES + 1);
    log_ring_put(large, 0);
    free(large);
    assert_int_equal(expect_numbers(0, last, LOG_RING_BYTES - 1), last);
}

TEST(what_an_output_takes_is_kept_escaped)
{
    uint64_t from = UINT64_MAX, next;
    size_t length;
    free(log_ring_read(&from, &next, &length));
    log_debug("main", "nobody takes this");
    log_warning("conn-1", "a \"name\"\nof %s", "\x1b[31m");
    char *text = log_ring_read(&from, &next, &length);
    assert_int_equal(next, from + 1);
    assert_int_equal(text[length - 1], '\n');
    text[length - 1] = '\0';
    assert_non_null(strstr(text, "\"level\":\"warning\",\"domain\":\"rabbitmq\",\"pid\":\"<conn-1>\""));
    assert_non_null(strstr(text, "\"msg\":\"a \\\"name\\\"\\u000aof \\u001b[31m\"}"));
    assert_null(strchr(text, '\n'));
    free(text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_order_until_there_is_no_room_and_the_oldest_go),
        cmocka_unit_test(what_an_output_takes_is_kept_escaped),
    };
    return unit_main("log_ring", tests, argc, argv);
}
