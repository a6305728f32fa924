#include "base/siphash.h"

enum { ROUNDS = 2, LAST_ROUNDS = 4 };

struct state {
    uint64_t v[4];
};

static uint64_t turned(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void stir(struct state *s, unsigned rounds)
{
    uint64_t *v = s->v;
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = turned(v[1], 13) ^ v[0];
        v[0] = turned(v[0], 32);
        v[2] += v[3];
        v[3] = turned(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = turned(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = turned(v[1], 17) ^ v[2];
        v[2] = turned(v[2], 32);
    }
}

/* Up to eight octets, the first the lowest. */
static uint64_t word(const uint8_t *at, size_t n)
{
    uint64_t w = 0;
    while (n-- > 0)
        w = w << 8 | at[n];
    return w;
}

static void take(struct state *s, uint64_t w)
{
    s->v[3] ^= w;
    stir(s, ROUNDS);
    s->v[0] ^= w;
}

void siphash128(const uint64_t key[2], struct bytes text, uint64_t hash[2])
{
    struct state s = {.v = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
                            key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)}};
    size_t whole = text.len / 8 * 8;
    for (size_t i = 0; i < whole; i += 8)
        take(&s, word(text.at + i, 8));
    take(&s, (uint64_t)text.len << 56 | word(text.at + whole, text.len - whole));
    s.v[2] ^= 0xee;
    stir(&s, LAST_ROUNDS);
    hash[0] = s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
    s.v[1] ^= 0xdd;
    stir(&s, LAST_ROUNDS);
    hash[1] = s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
