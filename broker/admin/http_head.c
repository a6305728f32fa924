#define _GNU_SOURCE
#include "broker/admin/http_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/str.h"

const char *http_status_text(enum http_status status)
{
    static const struct {
        enum http_status status;
        const char *text;
    } all[] = {
        {HTTP_STATUS_OK, "OK"},
        {HTTP_STATUS_CREATED, "Created"},
        {HTTP_STATUS_NO_CONTENT, "No Content"},
        {HTTP_STATUS_MOVED, "Moved Permanently"},
        {HTTP_STATUS_SEE_OTHER, "See Other"},
        {HTTP_STATUS_NOT_MODIFIED, "Not Modified"},
        {HTTP_STATUS_BAD, "Bad Request"},
        {HTTP_STATUS_UNAUTHORIZED, "Unauthorized"},
        {HTTP_STATUS_FORBIDDEN, "Forbidden"},
        {HTTP_STATUS_NOT_FOUND, "Not Found"},
        {HTTP_STATUS_NOT_ALLOWED, "Method Not Allowed"},
        {HTTP_STATUS_TIMEOUT, "Request Timeout"},
        {HTTP_STATUS_PRECONDITION, "Precondition Failed"},
        {HTTP_STATUS_TOO_LARGE, "Content Too Large"},
        {HTTP_STATUS_URI_TOO_LONG, "URI Too Long"},
        {HTTP_STATUS_HEADERS_TOO_LARGE, "Request Header Fields Too Large"},
        {HTTP_STATUS_NOT_IMPLEMENTED, "Not Implemented"},
        {HTTP_STATUS_UNAVAILABLE, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].status == status)
            return all[i].text;
    return "Status";
}

/* ---- Its size. */

size_t http_head_end(const char *text, size_t len, size_t *scanned)
{
    for (size_t i = *scanned; i < len; i++) {
        if (text[i] != '\n' || i == 0)
            continue;
        if (text[i - 1] == '\n' || (i > 1 && text[i - 1] == '\r' && text[i - 2] == '\n'))
            return i + 1;
    }
    *scanned = len;
    return 0;
}

enum http_status http_head_check(const char *text, size_t len)
{
    size_t line = len < HTTP_LINE_MAX ? len : HTTP_LINE_MAX;
    if (len >= HTTP_LINE_MAX && memchr(text, '\n', line) == NULL)
        return HTTP_STATUS_URI_TOO_LONG;
    return len > HTTP_HEAD_MAX ? HTTP_STATUS_HEADERS_TOO_LARGE : HTTP_STATUS_OK;
}

/* ---- The request line. */

static enum evhttp_cmd_type method_of(struct bytes word)
{
    static const struct {
        const char *name;
        enum evhttp_cmd_type method;
    } all[] = {{"GET", EVHTTP_REQ_GET},        {"HEAD", EVHTTP_REQ_HEAD},     {"PUT", EVHTTP_REQ_PUT},
               {"POST", EVHTTP_REQ_POST},      {"DELETE", EVHTTP_REQ_DELETE}, {"PATCH", EVHTTP_REQ_PATCH},
               {"OPTIONS", EVHTTP_REQ_OPTIONS}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (bytes_equal(word, bytes_of_string(all[i].name)))
            return all[i].method;
    return EVHTTP_REQ_TRACE;
}

static bool is_token(struct bytes word)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.at[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!is_letter && !(c >= '0' && c <= '9') && (c == 0 || strchr(marks, c) == NULL))
            return false;
    }
    return word.len > 0;
}

/* No control characters, but tabs in a field's value. */
static bool is_text(struct bytes text)
{
    enum { DELETE = 0x7f };
    for (size_t i = 0; i < text.len; i++)
        if ((text.at[i] < ' ' && text.at[i] != '\t') || text.at[i] == DELETE)
            return false;
    return true;
}

/* METHOD TARGET HTTP/1.x; what is between the first space and the last is the target, for some clients leave spaces in
 * it. */
static enum http_status read_line(struct http_head *h, struct bytes line)
{
    static const char version[] = "HTTP/1.";
    const uint8_t *first = memchr(line.at, ' ', line.len), *last = memrchr(line.at, ' ', line.len);
    if (line.len >= HTTP_LINE_MAX)
        return HTTP_STATUS_URI_TOO_LONG;
    if (first == NULL || last - first < 2 || !is_text(line))
        return HTTP_STATUS_BAD;
    struct bytes word = bytes_of(line.at, (size_t)(first - line.at));
    struct bytes tail = bytes_of(last + 1, (size_t)(line.at + line.len - last - 1));
    if (!is_token(word) || tail.len != sizeof version || memcmp(tail.at, version, sizeof version - 1) != 0 ||
        tail.at[sizeof version - 1] < '0' || tail.at[sizeof version - 1] > '9')
        return HTTP_STATUS_BAD;
    h->method = method_of(word);
    h->is_old = h->is_last = tail.at[sizeof version - 1] == '0';
    h->target = str_copy(bytes_of(first + 1, (size_t)(last - first - 1)));
    return HTTP_STATUS_OK;
}

/* ---- The fields. */

static struct bytes trimmed(struct bytes b)
{
    while (b.len > 0 && (b.at[0] == ' ' || b.at[0] == '\t'))
        b = bytes_of(b.at + 1, b.len - 1);
    while (b.len > 0 && (b.at[b.len - 1] == ' ' || b.at[b.len - 1] == '\t'))
        b.len--;
    return b;
}

static void wipe(char *text)
{
    explicit_bzero(text, strlen(text));
    free(text);
}

static enum http_status read_field(struct http_head *h, struct bytes line)
{
    const uint8_t *colon = memchr(line.at, ':', line.len);
    if (colon == NULL)
        return HTTP_STATUS_BAD;
    struct bytes name = bytes_of(line.at, (size_t)(colon - line.at));
    struct bytes value = trimmed(bytes_of(colon + 1, (size_t)(line.at + line.len - colon - 1)));
    if (!is_token(name) || !is_text(value))
        return HTTP_STATUS_BAD;
    char *key = str_copy(name), *text = str_copy(value);
    int status = evhttp_add_header(&h->fields, key, text);
    free(key);
    wipe(text);
    return status == 0 ? HTTP_STATUS_OK : HTTP_STATUS_BAD;
}

/* ---- What they say of the body and the connection. */

static enum http_status read_length(struct http_head *h, const char *text)
{
    enum { DIGITS_MAX = 18, DECIMAL = 10 };
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0')
        return HTTP_STATUS_BAD;
    uint64_t length = strtoull(text, NULL, DECIMAL);
    if (digits > DIGITS_MAX)
        return HTTP_STATUS_TOO_LARGE;
    if (h->has_length && h->length != length)
        return HTTP_STATUS_BAD;
    h->has_length = true;
    h->length = length;
    return HTTP_STATUS_OK;
}

static enum http_status read_meaning(struct http_head *h)
{
    enum http_status status = HTTP_STATUS_OK;
    unsigned hosts = 0;
    bool closes = false;
    const struct evkeyval *f;
    for (f = h->fields.tqh_first; f != NULL && status == HTTP_STATUS_OK; f = f->next.tqe_next) {
        if (strcasecmp(f->key, "Content-Length") == 0) {
            status = read_length(h, f->value);
        } else if (strcasecmp(f->key, "Transfer-Encoding") == 0) {
            status =
                strcasecmp(f->value, "chunked") == 0 && !h->is_chunked ? HTTP_STATUS_OK : HTTP_STATUS_NOT_IMPLEMENTED;
            h->is_chunked = true;
        } else if (strcasecmp(f->key, "Host") == 0) {
            hosts++;
        } else if (strcasecmp(f->key, "Expect") == 0) {
            h->expects_continue = strcasecmp(f->value, "100-continue") == 0;
        } else if (strcasecmp(f->key, "Connection") == 0) {
            closes = closes || strcasestr(f->value, "close") != NULL;
            if (strcasestr(f->value, "keep-alive") != NULL)
                h->is_last = false;
        }
    }
    h->is_last = h->is_last || closes;
    /* Which of the two counts is what smugglers live on; and HTTP/1.0 has no chunks. */
    if (status == HTTP_STATUS_OK && (hosts > 1 || (h->is_chunked && (h->has_length || h->is_old))))
        status = HTTP_STATUS_BAD;
    return status;
}

enum http_status http_head_read(struct http_head *h, const char *text, size_t len)
{
    unsigned lines = 0;
    *h = (struct http_head){.method = EVHTTP_REQ_TRACE};
    h->fields.tqh_last = &h->fields.tqh_first;
    if (len > HTTP_HEAD_MAX)
        return http_head_check(text, len) != HTTP_STATUS_OK ? http_head_check(text, len)
                                                            : HTTP_STATUS_HEADERS_TOO_LARGE;
    for (const char *at = text, *end = text + len; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL)
            return HTTP_STATUS_BAD;
        struct bytes line = bytes_of(at, (size_t)(newline - at));
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        at = newline + 1;
        if (line.len == 0)
            break;
        if (lines > HTTP_FIELDS_MAX)
            return HTTP_STATUS_HEADERS_TOO_LARGE;
        enum http_status status = lines == 0 ? read_line(h, line) : read_field(h, line);
        if (status != HTTP_STATUS_OK)
            return status;
    }
    return lines > 0 ? read_meaning(h) : HTTP_STATUS_BAD;
}

void http_head_fini(struct http_head *h)
{
    for (struct evkeyval *f = h->fields.tqh_first; f != NULL; f = f->next.tqe_next)
        if (strcasecmp(f->key, "Authorization") == 0)
            explicit_bzero(f->value, strlen(f->value));
    if (h->fields.tqh_last != NULL)
        evhttp_clear_headers(&h->fields);
    free(h->target);
    h->target = NULL;
}
