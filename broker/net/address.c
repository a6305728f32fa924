#define _GNU_SOURCE
#include "broker/net/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/str.h"

static struct sockaddr_in6 as_v6(const struct address *a)
{
    struct sockaddr_in6 in6;
    memcpy(&in6, &a->storage, sizeof in6);
    return in6;
}

/* The IPv4 address that it is, or that it stands for; false if it is IPv6. */
static bool as_v4(const struct address *a, struct in_addr *v4, uint16_t *port)
{
    if (a->storage.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a->storage, sizeof in);
        *v4 = in.sin_addr;
        *port = ntohs(in.sin_port);
        return true;
    }
    const struct sockaddr_in6 in6 = as_v6(a);
    if (a->storage.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return false;
    memcpy(v4, in6.sin6_addr.s6_addr + 12, sizeof *v4);
    *port = ntohs(in6.sin6_port);
    return true;
}

/* What a UNIX socket is called, if it is. */
static void format_unix(const struct address *a, char text[ADDRESS_TEXT_MAX])
{
    struct sockaddr_un un = {0};
    memcpy(&un, &a->storage, a->len < sizeof un ? a->len : sizeof un);
    snprintf(text, ADDRESS_TEXT_MAX, "unix:%.*s", (int)sizeof un.sun_path, un.sun_path);
}

static void format_v4(uint32_t v4, uint16_t port, char *at)
{
    for (unsigned shift = 32; shift > 0; *at++ = shift > 0 ? '.' : ':') {
        shift -= 8;
        at = str_number(at, v4 >> shift & 0xff);
    }
    *str_number(at, port) = '\0';
}

void address_format(const struct address *a, char text[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];
    struct in_addr v4;
    uint16_t port;
    if (as_v4(a, &v4, &port)) {
        format_v4(ntohl(v4.s_addr), port, text);
    } else if (a->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 in6 = as_v6(a);
        inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(in6.sin6_port));
    } else if (address_is_unix(a)) {
        format_unix(a, text);
    } else {
        snprintf(text, ADDRESS_TEXT_MAX, "unknown");
    }
}

uint16_t address_port(const struct address *a)
{
    struct in_addr v4;
    uint16_t port;
    if (as_v4(a, &v4, &port))
        return port;
    return a->storage.ss_family == AF_INET6 ? ntohs(as_v6(a).sin6_port) : 0;
}

bool address_is_unix(const struct address *a)
{
    return a->storage.ss_family == AF_UNIX;
}

bool address_is_loopback(const struct address *a)
{
    if (address_is_unix(a))
        return true;
    struct in_addr v4;
    uint16_t port;
    if (as_v4(a, &v4, &port))
        return ntohl(v4.s_addr) >> 24 == 127;
    const struct sockaddr_in6 in6 = as_v6(a);
    return a->storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

void address_group(const struct address *a, uint8_t group[ADDRESS_GROUP_BYTES])
{
    struct in_addr v4;
    uint16_t port;
    memset(group, 0, ADDRESS_GROUP_BYTES);
    if (as_v4(a, &v4, &port)) {
        group[0] = 4;
        memcpy(group + 1, &v4, sizeof v4);
    } else if (a->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 in6 = as_v6(a);
        group[0] = 6;
        memcpy(group + 1, in6.sin6_addr.s6_addr, 8);
    } else if (address_is_unix(a)) {
        group[0] = 1;
    }
}

enum { V4_BITS = 32, V6_BITS = 128, MAPPED_BITS = V6_BITS - V4_BITS };

static bool are_bits_zero(const uint8_t *host, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        if ((host[i / 8] & (0x80U >> i % 8)) != 0)
            return false;
    return true;
}

static bool bits_parse(const char *text, unsigned max, uint8_t *bits)
{
    enum { DIGITS_MAX = 3 };
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || text[digits] != '\0')
        return false;
    unsigned long n = strtoul(text, NULL, 10);
    *bits = (uint8_t)n;
    return n <= max;
}

/* A range of IPv4 in IPv6's clothes. */
static void range_unmap(struct address_range *r)
{
    struct in6_addr host;
    memcpy(&host, r->host, sizeof host);
    if (r->bits < MAPPED_BITS || !IN6_IS_ADDR_V4MAPPED(&host))
        return;
    r->is_v4 = true;
    r->bits = (uint8_t)(r->bits - MAPPED_BITS);
    memset(r->host, 0, sizeof r->host);
    memcpy(r->host, host.s6_addr + MAPPED_BITS / 8, V4_BITS / 8);
}

bool address_range_parse(const char *text, struct address_range *r)
{
    char host[INET6_ADDRSTRLEN];
    const size_t len = strcspn(text, "/");
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    *r = (struct address_range){.is_v4 = strchr(host, ':') == NULL};
    if (inet_pton(r->is_v4 ? AF_INET : AF_INET6, host, r->host) != 1)
        return false;
    const unsigned max = r->is_v4 ? V4_BITS : V6_BITS;
    r->bits = (uint8_t)max;
    if (text[len] == '/' && !bits_parse(text + len + 1, max, &r->bits))
        return false;
    if (!are_bits_zero(r->host, r->bits, max))
        return false;
    if (!r->is_v4)
        range_unmap(r);
    return true;
}

bool address_is_in(const struct address *a, const struct address_range *r)
{
    struct in_addr v4;
    uint16_t port;
    uint8_t host[16] = {0};
    bool is_v4 = as_v4(a, &v4, &port);
    if (is_v4) {
        memcpy(host, &v4, sizeof v4);
    } else if (a->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 in6 = as_v6(a);
        memcpy(host, in6.sin6_addr.s6_addr, sizeof host);
    } else {
        return false;
    }
    if (is_v4 != r->is_v4)
        return false;
    for (size_t i = 0; i < sizeof host; i++)
        host[i] ^= r->host[i];
    return are_bits_zero(host, 0, r->bits);
}

static bool port_parse(const char *text, uint16_t *port)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return false;
    unsigned long n = strtoul(text, NULL, 10);
    *port = (uint16_t)n;
    return n <= UINT16_MAX;
}

bool address_split(const char *text, char host[ADDRESS_TEXT_MAX], uint16_t *port)
{
    const char *colon = strrchr(text, ':'), *from = text;
    if (colon == NULL) {
        host[0] = '\0';
        return port_parse(text, port);
    }
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
        from++;
        len -= 2;
    }
    if (len == 0 || len >= ADDRESS_TEXT_MAX || memchr(from, ' ', len) != NULL)
        return false;
    memcpy(host, from, len);
    host[len] = '\0';
    return port_parse(colon + 1, port);
}
