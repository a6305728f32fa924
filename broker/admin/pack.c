#define _GNU_SOURCE
#include "broker/admin/pack.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/check.h"

/* "gzip;q=0" refuses it. */
static bool is_refused(const char *parameters, size_t len)
{
    const char *q = memmem(parameters, len, "q=0", 3);
    return q != NULL && strspn(q + 3, ".0") == strcspn(q + 3, ",; ");
}

bool pack_is_accepted(const char *accept_encoding)
{
    for (const char *at = accept_encoding; at != NULL && *at != '\0';) {
        at += strspn(at, " ,\t");
        size_t len = strcspn(at, ","), word = strcspn(at, ",; \t");
        if ((word == 4 && strncasecmp(at, "gzip", 4) == 0) || (word == 1 && *at == '*'))
            return !is_refused(at + word, len - word);
        at += len;
    }
    return false;
}

bool pack(struct evbuffer *body)
{
    enum { GZIP_WINDOW = 15 + 16, MEMORY = 8, FAST = 1 };
    size_t len = evbuffer_get_length(body);
    z_stream z = {0};
    if (len < PACK_MIN || len > PACK_MAX || deflateInit2(&z, FAST, Z_DEFLATED, GZIP_WINDOW, MEMORY, 0) != Z_OK)
        return false;
    size_t room = deflateBound(&z, len);
    uint8_t *to = alloc(room);
    z.next_out = to;
    z.avail_out = (uInt)room;
    struct evbuffer_iovec piece;
    while (evbuffer_peek(body, -1, NULL, &piece, 1) > 0) {
        z.next_in = piece.iov_base;
        z.avail_in = (uInt)piece.iov_len;
        CHECK(deflate(&z, Z_NO_FLUSH) == Z_OK && z.avail_in == 0);
        evbuffer_drain(body, piece.iov_len);
    }
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    evbuffer_add(body, to, room - z.avail_out);
    deflateEnd(&z);
    free(to);
    return true;
}
