#include "tests/unit/unit.h"

#include <string.h>

#include "base/crc32c.h"

enum { LONGEST = 40000 }; /* three lanes of each length, and what is left over */

static uint8_t noise[LONGEST];

static void make_noise(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (uint8_t)(x >> 24);
    }
}

static void assert_both(const void *at, size_t n, uint32_t expect)
{
    assert_int_equal(crc32c(0, at, n), expect);
    assert_int_equal(crc32c_by_table(0, at, n), expect);
}

/* RFC 3720, appendix B.4, and two that everybody knows. */
TEST(known_vectors_have_their_sums)
{
    uint8_t b[48];
    assert_both(NULL, 0, 0);
    assert_both("a", 1, 0xc1d04330);
    assert_both("123456789", 9, 0xe3069283);
    memset(b, 0, sizeof b);
    assert_both(b, 32, 0x8a9136aa);
    memset(b, 0xff, sizeof b);
    assert_both(b, 32, 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        b[i] = i;
    assert_both(b, 32, 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        b[i] = (uint8_t)(31 - i);
    assert_both(b, 32, 0x113fdb5c);
    static const uint8_t scsi[48] = {0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
                                     0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    assert_both(scsi, sizeof scsi, 0xd9963a56);
}

TEST(table_and_instruction_agree_on_every_length_and_alignment)
{
    for (size_t n = 0; n < 1000; n++) {
        size_t from = n % 17;
        assert_int_equal(crc32c(7, noise + from, n), crc32c_by_table(7, noise + from, n));
    }
    for (size_t n = 1000; n <= LONGEST - 16; n += 997)
        assert_int_equal(crc32c(7, noise + n % 16, n), crc32c_by_table(7, noise + n % 16, n));
    assert_int_equal(crc32c(0, noise, LONGEST), crc32c_by_table(0, noise, LONGEST));
}

TEST(a_sum_goes_on_where_it_was)
{
    uint32_t whole = crc32c(0, noise, LONGEST);
    for (size_t cut = 0; cut <= LONGEST; cut += 1 + cut / 3) {
        assert_int_equal(crc32c(crc32c(0, noise, cut), noise + cut, LONGEST - cut), whole);
        assert_int_equal(crc32c_by_table(crc32c(0, noise, cut), noise + cut, LONGEST - cut), whole);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors_have_their_sums),
        cmocka_unit_test(table_and_instruction_agree_on_every_length_and_alignment),
        cmocka_unit_test(a_sum_goes_on_where_it_was),
    };
    make_noise();
    return unit_main("crc32c", tests, argc, argv);
}
