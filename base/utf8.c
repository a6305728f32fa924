#include "base/utf8.h"

#include <string.h>

/* The limits of the second octet are the Unicode standard's table 3-7: they exclude overlong forms, surrogates and what
 * is above U+10FFFF. */
size_t utf8_length(struct bytes b)
{
    uint8_t lead = b.at[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    size_t len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (len > b.len)
        return 0;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (b.at[1] < low || b.at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((b.at[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

uint32_t utf8_decode(struct bytes b, size_t len)
{
    uint32_t c = len == 1 ? b.at[0] : b.at[0] & (0x7FU >> len);
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (b.at[i] & 0x3FU);
    return c;
}

bool utf8_check(struct bytes b)
{
    size_t i = 0;
    while (i < b.len) {
        uint64_t eight = 0;
        if (b.len - i >= sizeof(eight))
            memcpy(&eight, b.at + i, sizeof(eight));
        else
            eight = UINT64_MAX;
        if ((eight & 0x8080808080808080U) == 0) {
            i += sizeof(eight);
            continue;
        }
        size_t len = utf8_length(bytes_of(b.at + i, b.len - i));
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}
