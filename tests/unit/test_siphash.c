#include "tests/unit/unit.h"

#include "base/siphash.h"

/* The key of the published vectors: 00 01 … 0f. */
static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void expect(size_t n, const char *octets)
{
    uint8_t text[64], is[16];
    uint64_t hash[2];
    for (size_t i = 0; i < n; i++)
        text[i] = (uint8_t)i;
    siphash128(key, bytes_of(text, n), hash);
    for (unsigned i = 0; i < 16; i++)
        is[i] = (uint8_t)(hash[i / 8] >> i % 8 * 8);
    assert_memory_equal(is, octets, 16);
}

TEST(it_is_the_published_function)
{
    expect(0, "\xa3\x81\x7f\x04\xba\x25\xa8\xe6\x6d\xf6\x72\x14\xc7\x55\x02\x93");
    expect(1, "\xda\x87\xc1\xd8\x6b\x99\xaf\x44\x34\x76\x59\x11\x9b\x22\xfc\x45");
    expect(15, "\x54\x93\xe9\x99\x33\xb0\xa8\x11\x7e\x08\xec\x0f\x97\xcf\xc3\xd9");
}

TEST(every_octet_and_every_bit_of_the_key_counts)
{
    uint64_t one[2], other[2];
    uint64_t k[2] = {1, 2};
    for (size_t n = 1; n < 40; n++) {
        uint8_t text[40] = {0};
        siphash128(k, bytes_of(text, n), one);
        text[n - 1] = 1;
        siphash128(k, bytes_of(text, n), other);
        assert_true(one[0] != other[0] && one[1] != other[1]);
    }
    siphash128(k, BYTES("text"), one);
    k[1] = 3;
    siphash128(k, BYTES("text"), other);
    assert_true(one[0] != other[0] && one[1] != other[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_published_function),
        cmocka_unit_test(every_octet_and_every_bit_of_the_key_counts),
    };
    return unit_main("base/siphash", tests, argc, argv);
}
