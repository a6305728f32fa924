/* The head of an HTTP/1 request: its line and its fields, from text (RFC 9112).  Pure; strict where leniency would let
 * two programs see two different requests (two lengths, two hosts, chunks in HTTP/1.0), lenient in the rest: lines may
 * end without a carriage return.
 */
#ifndef BROKER_ADMIN_HTTP_HEAD_H
#define BROKER_ADMIN_HTTP_HEAD_H

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reliability C21. */
enum {
    HTTP_LINE_MAX = 8 << 10,  /* bytes of the request line … */
    HTTP_HEAD_MAX = 16 << 10, /* … of it and all fields … */
    HTTP_FIELDS_MAX = 100,    /* … and how many those are */
};

enum http_status {
    HTTP_STATUS_OK = 200,
    HTTP_STATUS_CREATED = 201,
    HTTP_STATUS_NO_CONTENT = 204,
    HTTP_STATUS_MOVED = 301,
    HTTP_STATUS_SEE_OTHER = 303,
    HTTP_STATUS_NOT_MODIFIED = 304,
    HTTP_STATUS_BAD = 400,
    HTTP_STATUS_UNAUTHORIZED = 401,
    HTTP_STATUS_FORBIDDEN = 403,
    HTTP_STATUS_NOT_FOUND = 404,
    HTTP_STATUS_NOT_ALLOWED = 405,
    HTTP_STATUS_TIMEOUT = 408,
    HTTP_STATUS_PRECONDITION = 412,
    HTTP_STATUS_TOO_LARGE = 413,
    HTTP_STATUS_URI_TOO_LONG = 414,
    HTTP_STATUS_HEADERS_TOO_LARGE = 431,
    HTTP_STATUS_NOT_IMPLEMENTED = 501,
    HTTP_STATUS_UNAVAILABLE = 503,
};

const char *http_status_text(enum http_status status);

struct http_head {
    enum evhttp_cmd_type method; /* TRACE also stands for all that nobody knows */
    char *target;                /* owned: as it came */
    struct evkeyvalq fields;     /* owned */
    bool is_old;                 /* HTTP/1.0 */
    bool is_last;                /* the client does not want to go on with this connection */
    bool is_chunked, has_length, expects_continue;
    uint64_t length; /* of the body; 0: there is none */
};

/* Where the head in text ends, behind its empty line; 0: it is not whole yet.  *scanned is where to go on looking, 0 at
 * first. */
size_t http_head_end(const char *text, size_t len, size_t *scanned);

/* Of one that is not whole yet: too long already?  HTTP_STATUS_OK: no. */
enum http_status http_head_check(const char *text, size_t len);

/* Reads a whole head.  HTTP_STATUS_OK, or what to answer; http_head_fini() is due anyway. */
enum http_status http_head_read(struct http_head *h, const char *text, size_t len);

/* Wipes the field Authorization, too. */
void http_head_fini(struct http_head *h);
#endif
