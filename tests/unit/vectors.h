/* The test vectors of reference amqp-protocol section 13, and bytes that a sanitizer guards from both sides.
 *
 * The HEX_ texts are whole frames.  A decoder must be given exact() copies, so that reading one byte too far is seen.
 */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

#define HEX_HEARTBEAT "08 00 00 00 00 00 00 ce"
#define HEX_TUNE "01 00 00 00 00 00 0c 00 0a 00 1e 07 ff 00 02 00 00 00 3c ce"
#define HEX_TUNE_OK "01 00 00 00 00 00 0c 00 0a 00 1f 07 ff 00 02 00 00 00 3c ce"
#define HEX_START_OK                                                                                                   \
    "01 00 00 00 00 00 43 00 0a 00 0b 00 00 00 1f 0c 63 61 70 61 62 69 6c 69 74 69 65 73"                              \
    "46 00 00 00 0d 0a 62 61 73 69 63 2e 6e 61 63 6b 74 01 05 50 4c 41 49 4e 00 00 00 0c"                              \
    "00 67 75 65 73 74 00 67 75 65 73 74 05 65 6e 5f 55 53 ce"
#define HEX_OPEN "01 00 00 00 00 00 08 00 0a 00 28 01 2f 00 00 ce"
#define HEX_OPEN_OK "01 00 00 00 00 00 05 00 0a 00 29 00 ce"
#define HEX_CHANNEL_OPEN "01 00 01 00 00 00 05 00 14 00 0a 00 ce"
#define HEX_CHANNEL_OPEN_OK "01 00 01 00 00 00 08 00 14 00 0b 00 00 00 00 ce"
#define HEX_QUEUE_DECLARE                                                                                              \
    "01 00 01 00 00 00 1f 00 32 00 0a 00 00 01 71 02 00 00 00 12 0c 78 2d 6d 61 78 2d 6c"                              \
    "65 6e 67 74 68 49 00 00 00 05 ce"
#define HEX_QUEUE_DECLARE_OK "01 00 01 00 00 00 0e 00 32 00 0b 01 71 00 00 00 00 00 00 00 00 ce"
#define HEX_BASIC_PUBLISH "01 00 01 00 00 00 0a 00 3c 00 28 00 00 00 01 71 01 ce"
#define HEX_CONTENT_HEADER "02 00 01 00 00 00 13 00 3c 00 00 00 00 00 00 00 00 00 02 90 00 03 74 2f 70 02 ce"
#define HEX_BODY "03 00 01 00 00 00 02 68 69 ce"
#define HEX_BASIC_DELIVER "01 00 01 00 00 00 12 00 3c 00 3c 01 63 00 00 00 00 00 00 00 01 00 00 01 71 ce"
#define HEX_BASIC_ACK "01 00 01 00 00 00 0d 00 3c 00 50 00 00 00 00 00 00 00 01 00 ce"
#define HEX_CHANNEL_CLOSE                                                                                              \
    "01 00 01 00 00 00 30 00 14 00 28 01 94 25 4e 4f 54 5f 46 4f 55 4e 44 20 2d 20 6e 6f"                              \
    "20 71 75 65 75 65 20 27 71 27 20 69 6e 20 76 68 6f 73 74 20 27 2f 27 00 32 00 0a ce"
#define HEX_CHANNEL_CLOSE_OK "01 00 01 00 00 00 04 00 14 00 29 ce"

static inline uint8_t hex_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* A copy in a heap block of exactly its size; drop() frees it. */
static inline struct bytes exact(struct bytes from)
{
    uint8_t *at = malloc(from.len);
    assert_true(at != NULL || from.len == 0);
    if (from.len > 0)
        memcpy(at, from.at, from.len);
    return bytes_of(at, from.len);
}

static inline void drop(struct bytes b)
{
    free((void *)(uintptr_t)b.at);
}

/* The bytes that a text of hex digits and blanks spells, as exact() answers them. */
static inline struct bytes hex(const char *text)
{
    uint8_t made[1024];
    size_t n = 0;
    for (const char *at = text; *at != '\0';) {
        if (*at == ' ') {
            at++;
            continue;
        }
        assert_true(n < sizeof(made));
        made[n++] = (uint8_t)(hex_digit(at[0]) << 4 | hex_digit(at[1]));
        at += 2;
    }
    return exact(bytes_of(made, n));
}

#define assert_bytes_equal(a, b)                                                                                       \
    do {                                                                                                               \
        struct bytes left_ = (a), right_ = (b);                                                                        \
        assert_int_equal(left_.len, right_.len);                                                                       \
        if (left_.len > 0)                                                                                             \
            assert_memory_equal(left_.at, right_.at, left_.len);                                                       \
    } while (0)
#endif
