#include "broker/perf/uri.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

enum { PORT = 5672, PORT_TLS = 5671 };

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Percent-decoded; NULL: a "%" is not followed by two digits, or stands for a zero. */
static char *decode(struct bytes b)
{
    char *to = alloc(b.len + 1), *at = to;
    for (size_t i = 0; i < b.len; i++) {
        if (b.at[i] != '%') {
            *at++ = (char)b.at[i];
            continue;
        }
        int high = i + 2 < b.len ? digit(b.at[i + 1]) : -1, low = i + 2 < b.len ? digit(b.at[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0) {
            free(to);
            return NULL;
        }
        *at++ = (char)(high << 4 | low);
        i += 2;
    }
    *at = '\0';
    return to;
}

/* What stands before the first such letter goes to *first, what follows it stays; false: there is none. */
static bool split(struct bytes *rest, int letter, struct bytes *first)
{
    const uint8_t *at = rest->len > 0 ? memchr(rest->at, letter, rest->len) : NULL;
    if (at == NULL)
        return false;
    *first = bytes_of(rest->at, (size_t)(at - rest->at));
    *rest = bytes_of(at + 1, rest->len - first->len - 1);
    return true;
}

static bool read_port(struct bytes b, unsigned *port)
{
    unsigned n = 0;
    for (size_t i = 0; i < b.len; i++) {
        if (b.at[i] < '0' || b.at[i] > '9' || n > UINT16_MAX)
            return false;
        n = n * 10 + (unsigned)(b.at[i] - '0');
    }
    *port = n;
    return n > 0 && n <= UINT16_MAX;
}

/* "host", "host:port", "[address]:port"; the port stays as it is if there is none. */
static const char *read_host(struct bytes at, struct bytes *host, unsigned *port)
{
    struct bytes rest = at;
    if (at.len > 0 && at.at[0] == '[') {
        rest = bytes_of(at.at + 1, at.len - 1);
        if (!split(&rest, ']', host) || (rest.len > 0 && rest.at[0] != ':'))
            return "an address in brackets does not end well";
        rest = bytes_of(rest.at + (rest.len > 0), rest.len - (rest.len > 0));
    } else if (!split(&rest, ':', host)) {
        *host = at;
        return NULL;
    }
    return rest.len == 0 || read_port(rest, port) ? NULL : "the port is no number from 1 to 65535";
}

static char *or_else(struct bytes b, bool is_there, const char *otherwise)
{
    return is_there ? decode(b) : str_copy(bytes_of_string(otherwise));
}

const char *perf_uri_read(struct perf_uri *uri, const char *text)
{
    struct bytes rest = bytes_of_string(text), user = {0}, password = {0}, path, host = {0}, authority = {0};
    *uri = (struct perf_uri){.is_tls = strncmp(text, "amqps://", 8) == 0};
    if (!uri->is_tls && strncmp(text, "amqp://", 7) != 0)
        return "it does not begin with amqp:// or amqps://";
    rest = bytes_of(rest.at + 7 + uri->is_tls, rest.len - 7 - uri->is_tls);
    if (memchr(text, '?', strlen(text)) != NULL || memchr(text, '#', strlen(text)) != NULL)
        return "nothing may follow the vhost";

    bool has_path = split(&rest, '/', &authority);
    path = rest;
    if (!has_path)
        authority = rest;
    bool has_user = split(&authority, '@', &user);
    struct bytes name = user;
    bool has_password = has_user && split(&user, ':', &name);
    password = user;
    if (has_path && path.len > 0 && memchr(path.at, '/', path.len) != NULL)
        return "a / in the vhost is written %2F";

    uri->port = uri->is_tls ? PORT_TLS : PORT;
    const char *wrong = read_host(authority, &host, &uri->port);
    if (wrong != NULL)
        return wrong;
    uri->user = or_else(name, has_user && name.len > 0, "guest");
    uri->password = or_else(password, has_password, "guest");
    uri->host = or_else(host, host.len > 0, "127.0.0.1");
    uri->vhost = or_else(path, has_path, "/");
    if (uri->user == NULL || uri->password == NULL || uri->host == NULL || uri->vhost == NULL) {
        perf_uri_fini(uri);
        return "a % is not followed by two hexadecimal digits";
    }
    return NULL;
}

void perf_uri_fini(struct perf_uri *uri)
{
    free(uri->user);
    free(uri->password);
    free(uri->host);
    free(uri->vhost);
    *uri = (struct perf_uri){0};
}
