/* SipHash-2-4 with 128 bits: a keyed hash.  Whoever does not know the key cannot make two texts collide, and no two do
 * by chance: what it answers may stand for the text. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stdint.h>

#include "base/bytes.h"

void siphash128(const uint64_t key[2], struct bytes text, uint64_t hash[2]);
#endif
