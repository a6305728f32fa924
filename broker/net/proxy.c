#define _GNU_SOURCE
#include "broker/net/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/crc32c.h"

#define SIGNATURE_1 BYTES("PROXY ")
#define SIGNATURE_2 BYTES("\r\n\r\n\0\r\nQUIT\n")

static struct address address_v4(const void *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct address a = {.len = sizeof in};
    memcpy(&in.sin_addr, host, sizeof in.sin_addr);
    memcpy(&a.storage, &in, sizeof in);
    return a;
}

static struct address address_v6(const void *host, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct address a = {.len = sizeof in6};
    memcpy(&in6.sin6_addr, host, sizeof in6.sin6_addr);
    memcpy(&a.storage, &in6, sizeof in6);
    return a;
}

/* ---- Version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 40000 5672\r\n". */

/* Cuts the next word off a line of words with one space between them; empty: there is none, or too many spaces. */
static struct bytes take_word(struct bytes *line)
{
    const uint8_t *space = line->len == 0 ? NULL : memchr(line->at, ' ', line->len);
    struct bytes word = bytes_of(line->at, space == NULL ? line->len : (size_t)(space - line->at));
    size_t cut = space == NULL ? word.len : word.len + 1;
    *line = bytes_of(line->at + cut, line->len - cut);
    return word;
}

static bool read_port(struct bytes word, uint16_t *port)
{
    enum { DIGITS_MAX = 5 };
    uint32_t n = 0;
    if (word.len == 0 || word.len > DIGITS_MAX || (word.at[0] == '0' && word.len > 1))
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if (word.at[i] < '0' || word.at[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(word.at[i] - '0');
    }
    *port = (uint16_t)n;
    return n <= UINT16_MAX;
}

static bool read_host(int family, struct bytes word, struct in6_addr *host)
{
    char text[INET6_ADDRSTRLEN];
    if (word.len >= sizeof text || memchr(word.at, '\0', word.len) != NULL)
        return false;
    memcpy(text, word.at, word.len);
    text[word.len] = '\0';
    return inet_pton(family, text, host) == 1;
}

/* What follows the signature, without the line's end. */
static enum proxy_verdict read_line(struct bytes line, struct address *from, struct address *to)
{
    const bool ends_in_space = line.len > 0 && line.at[line.len - 1] == ' ';
    const struct bytes kind = take_word(&line);
    if (bytes_equal(kind, BYTES("UNKNOWN")))
        return PROXY_LOCAL; /* whatever follows is to be ignored */
    const bool is_v4 = bytes_equal(kind, BYTES("TCP4"));
    if (ends_in_space || (!is_v4 && !bytes_equal(kind, BYTES("TCP6"))))
        return PROXY_BAD;
    struct in6_addr hosts[2];
    uint16_t ports[2];
    for (int i = 0; i < 2; i++) {
        if (!read_host(is_v4 ? AF_INET : AF_INET6, take_word(&line), &hosts[i]))
            return PROXY_BAD;
    }
    for (int i = 0; i < 2; i++) {
        if (!read_port(take_word(&line), &ports[i]))
            return PROXY_BAD;
    }
    if (line.len > 0)
        return PROXY_BAD;
    *from = is_v4 ? address_v4(&hosts[0], ports[0]) : address_v6(&hosts[0], ports[0]);
    *to = is_v4 ? address_v4(&hosts[1], ports[1]) : address_v6(&hosts[1], ports[1]);
    return PROXY_FINE;
}

static enum proxy_verdict read_1(struct bytes in, size_t *used, struct address *from, struct address *to)
{
    const size_t n = in.len < PROXY_LINE_MAX ? in.len : PROXY_LINE_MAX;
    const uint8_t *end = memchr(in.at, '\r', n);
    if (end == NULL || (size_t)(end - in.at) + 1 == in.len)
        return in.len < PROXY_LINE_MAX ? PROXY_MORE : PROXY_BAD;
    const size_t len = (size_t)(end - in.at);
    if (len + 2 > PROXY_LINE_MAX || in.at[len + 1] != '\n')
        return PROXY_BAD;
    const size_t skip = SIGNATURE_1.len;
    enum proxy_verdict verdict = read_line(bytes_of(in.at + skip, len - skip), from, to);
    *used = verdict == PROXY_BAD ? 0 : len + 2;
    return verdict;
}

/* ---- Version 2: the signature, version and command, family and protocol, how much follows; addresses; additions. */

enum {
    VERSION_AT = 12,
    FAMILY_AT = 13,
    LENGTH_AT = 14,
    BODY_AT = 16,
    COMMAND_LOCAL = 0x20, /* with the version */
    COMMAND_PROXY = 0x21,
    FAMILY_NONE = 0,
    FAMILY_V4 = 1,
    FAMILY_V6 = 2,
    FAMILY_UNIX = 3,
    PROTOCOL_MAX = 2, /* 0 none, 1 stream, 2 datagram */
    ADDITION_HEAD = 3,
    ADDITION_CRC32C = 3,
    CRC_BYTES = 4,
};

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The checksum of a header is made while these bytes of it are zero. */
static bool is_crc_right(struct bytes header, size_t crc_at)
{
    static const uint8_t zeros[CRC_BYTES];
    const uint8_t *at = header.at + crc_at;
    const size_t after = crc_at + CRC_BYTES;
    uint32_t crc = crc32c(0, header.at, crc_at);
    crc = crc32c(crc, zeros, CRC_BYTES);
    crc = crc32c(crc, header.at + after, header.len - after);
    return crc == ((uint32_t)u16_at(at) << 16 | u16_at(at + 2));
}

/* They are a type, two bytes of length and a value each. */
static bool are_additions_right(struct bytes header, size_t at)
{
    bool has_crc = false;
    while (at < header.len) {
        if (header.len - at < ADDITION_HEAD)
            return false;
        const uint8_t type = header.at[at];
        const size_t len = u16_at(header.at + at + 1);
        at += ADDITION_HEAD;
        if (len > header.len - at)
            return false;
        if (type == ADDITION_CRC32C) {
            if (has_crc || len != CRC_BYTES || !is_crc_right(header, at))
                return false;
            has_crc = true;
        }
        at += len;
    }
    return true;
}

/* A whole header with a client behind it. */
static enum proxy_verdict read_client(struct bytes header, struct address *from, struct address *to)
{
    static const uint8_t sizes[] = {[FAMILY_V4] = 12, [FAMILY_V6] = 36, [FAMILY_UNIX] = 216};
    const unsigned family = header.at[FAMILY_AT] >> 4, protocol = header.at[FAMILY_AT] & 0xf;
    if (family > FAMILY_UNIX || protocol > PROTOCOL_MAX)
        return PROXY_BAD;
    if (family == FAMILY_NONE || protocol == 0)
        return PROXY_LOCAL; /* nobody can say what of the rest is an address */
    const uint8_t *body = header.at + BODY_AT;
    if (header.len - BODY_AT < sizes[family] || !are_additions_right(header, BODY_AT + sizes[family]))
        return PROXY_BAD;
    if (family == FAMILY_UNIX)
        return PROXY_LOCAL;
    if (family == FAMILY_V4) {
        *from = address_v4(body, u16_at(body + 8));
        *to = address_v4(body + 4, u16_at(body + 10));
    } else {
        *from = address_v6(body, u16_at(body + 32));
        *to = address_v6(body + 16, u16_at(body + 34));
    }
    return PROXY_FINE;
}

static enum proxy_verdict read_2(struct bytes in, size_t *used, struct address *from, struct address *to)
{
    if (in.len > VERSION_AT && in.at[VERSION_AT] != COMMAND_LOCAL && in.at[VERSION_AT] != COMMAND_PROXY)
        return PROXY_BAD;
    if (in.len < BODY_AT)
        return PROXY_MORE;
    const size_t len = BODY_AT + (size_t)u16_at(in.at + LENGTH_AT);
    if (len > PROXY_HEADER_MAX)
        return PROXY_BAD;
    if (in.len < len)
        return PROXY_MORE;
    enum proxy_verdict verdict = PROXY_LOCAL; /* a health check, say: the rest is to be ignored */
    if (in.at[VERSION_AT] == COMMAND_PROXY)
        verdict = read_client(bytes_of(in.at, len), from, to);
    *used = verdict == PROXY_BAD ? 0 : len;
    return verdict;
}

/* True: they are the same as far as both go. */
static bool may_become(struct bytes in, struct bytes signature)
{
    const size_t n = in.len < signature.len ? in.len : signature.len;
    return bytes_equal(bytes_of(in.at, n), bytes_of(signature.at, n));
}

enum proxy_verdict proxy_read(struct bytes in, size_t *used, struct address *from, struct address *to)
{
    *used = 0;
    const bool may_be_1 = may_become(in, SIGNATURE_1), may_be_2 = may_become(in, SIGNATURE_2);
    if (!may_be_1 && !may_be_2)
        return PROXY_BAD;
    if (may_be_1 && in.len > SIGNATURE_1.len)
        return read_1(in, used, from, to);
    if (may_be_2 && in.len >= SIGNATURE_2.len)
        return read_2(in, used, from, to);
    return PROXY_MORE;
}
