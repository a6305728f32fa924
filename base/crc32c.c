#include "base/crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

/* ---- Without the instruction: slicing by eight. */

#define POLYNOMIAL UINT32_C(0x82f63b78) /* reflected */

static uint32_t slices[8][256]; /* [k][b]: what byte b does, k bytes further on */

/* Before main(), hence by one thread. */
__attribute__((constructor)) static void fill_slices(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        slices[0][b] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t b = 0; b < 256; b++)
            slices[k][b] = slices[k - 1][b] >> 8 ^ slices[0][slices[k - 1][b] & 0xff];
    }
}

uint32_t crc32c_by_table(uint32_t crc, const void *from, size_t n)
{
    const uint8_t *at = from;
    crc = ~crc;
    for (; n >= 8; at += 8, n -= 8) {
        uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
        crc = slices[7][low & 0xff] ^ slices[6][low >> 8 & 0xff] ^ slices[5][low >> 16 & 0xff] ^ slices[4][low >> 24] ^
              slices[3][at[4]] ^ slices[2][at[5]] ^ slices[1][at[6]] ^ slices[0][at[7]];
    }
    for (; n > 0; at++, n--)
        crc = crc >> 8 ^ slices[0][(crc ^ *at) & 0xff];
    return ~crc;
}

/* ---- With it. */

#if defined(__x86_64__) || defined(__ARM_FEATURE_CRC32)
static uint64_t word_at(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}
#endif

#if defined(__x86_64__)

#define HAS_CRC __attribute__((target("sse4.2,pclmul")))

/* Words of eight bytes in each of three lanes; k_n moves a CRC over n lanes: x^(64 * n * words - 33), reflected. */
struct lanes {
    size_t words;
    uint32_t k_1, k_2;
};

static const struct lanes LANES[] = {
    {512, 0x82f89c77, 0x54a86326},
    {32, 0xb9e02b86, 0xdd7e3b0c},
    {8, 0x9e4addf8, 0x0d3b6092},
};

/* One instruction takes three cycles and a new one can begin in each, so three CRCs are made at once.  Two products
 * without carries then bring the first and the second to where the third ends. */
HAS_CRC static uint64_t sum_lanes(uint64_t crc, const uint8_t *at, const struct lanes *l)
{
    uint64_t second = 0, third = 0;
    size_t lane = l->words * 8;
    for (const uint8_t *end = at + lane; at < end; at += 8) {
        crc = _mm_crc32_u64(crc, word_at(at));
        second = _mm_crc32_u64(second, word_at(at + lane));
        third = _mm_crc32_u64(third, word_at(at + 2 * lane));
    }
    __m128i both = _mm_set_epi64x((long long)second, (long long)crc);
    __m128i k = _mm_set_epi64x(l->k_1, l->k_2);
    __m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(both, k, 0x00), _mm_clmulepi64_si128(both, k, 0x11));
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(moved)) ^ third;
}

HAS_CRC static uint32_t by_instruction(uint32_t before, const uint8_t *at, size_t n)
{
    uint64_t crc = ~before;
    for (size_t i = 0; i < sizeof LANES / sizeof LANES[0]; i++) {
        size_t pass = LANES[i].words * 8 * 3;
        for (; n >= pass; at += pass, n -= pass)
            crc = sum_lanes(crc, at, &LANES[i]);
    }
    for (; n >= 8; at += 8, n -= 8)
        crc = _mm_crc32_u64(crc, word_at(at));
    uint32_t short_crc = (uint32_t)crc;
    for (; n > 0; at++, n--)
        short_crc = _mm_crc32_u8(short_crc, *at);
    return ~short_crc;
}

uint32_t crc32c(uint32_t crc, const void *from, size_t n)
{
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return by_instruction(crc, from, n);
    return crc32c_by_table(crc, from, n);
}

#elif defined(__ARM_FEATURE_CRC32)

uint32_t crc32c(uint32_t crc, const void *from, size_t n)
{
    const uint8_t *at = from;
    crc = ~crc;
    for (; n >= 8; at += 8, n -= 8)
        crc = __crc32cd(crc, word_at(at));
    for (; n > 0; at++, n--)
        crc = __crc32cb(crc, *at);
    return ~crc;
}

#else

uint32_t crc32c(uint32_t crc, const void *from, size_t n)
{
    return crc32c_by_table(crc, from, n);
}

#endif
