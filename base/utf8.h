/* UTF-8, well-formed: no overlong form, no surrogate, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* True if all of b is UTF-8. */
bool utf8_check(struct bytes b);

/* How many bytes the character at the beginning of b has, which is not empty; 0: that is not UTF-8. */
size_t utf8_length(struct bytes b);

/* The character at the beginning of b; len: its utf8_length(), not 0. */
uint32_t utf8_decode(struct bytes b, size_t len);
#endif
