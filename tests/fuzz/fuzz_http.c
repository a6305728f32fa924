/* HTTP as it comes from the network: any bytes are a head, the beginning of one, or none, whatever pieces they come in.
 * A head that was read has one meaning: written again, field by field, it is read as the same; no field holds what
 * would end a line.  The chunks behind it are the same body and leave the same bytes for the next request, however they
 * are cut.  The first byte says how large the pieces are. */
#include "tests/fuzz/fuzz.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "broker/admin/chunks.h"
#include "broker/admin/http_head.h"

enum { BODY_MAX = 4096 };

static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "ODD"};
static const enum evhttp_cmd_type types[] = {EVHTTP_REQ_GET,    EVHTTP_REQ_HEAD,  EVHTTP_REQ_PUT,     EVHTTP_REQ_POST,
                                             EVHTTP_REQ_DELETE, EVHTTP_REQ_PATCH, EVHTTP_REQ_OPTIONS, EVHTTP_REQ_TRACE};

static const char *name_of(enum evhttp_cmd_type type)
{
    size_t i = 0;
    while (types[i] != type)
        i++;
    return methods[i];
}

static void check_text(const char *text)
{
    CHECK(strpbrk(text, "\r\n") == NULL);
}

/* Written plainly, it is the same. */
static void check_again(const struct http_head *h)
{
    struct http_head again;
    struct evbuffer *out = evbuffer_new();
    check_text(h->target);
    evbuffer_add_printf(out, "%s %s HTTP/1.%d\r\n", name_of(h->method), h->target, h->is_old ? 0 : 1);
    for (const struct evkeyval *f = h->fields.tqh_first; f != NULL; f = f->next.tqe_next) {
        check_text(f->key);
        check_text(f->value);
        CHECK(strchr(f->key, ':') == NULL && f->key[0] != '\0');
        evbuffer_add_printf(out, "%s: %s\r\n", f->key, f->value);
    }
    evbuffer_add(out, "\r\n", 2);
    size_t len = evbuffer_get_length(out), scanned = 0;
    const char *text = (const char *)evbuffer_pullup(out, -1);
    if (len <= HTTP_HEAD_MAX && strcspn(text, "\r") < HTTP_LINE_MAX) { /* it was shorter without its spaces */
        CHECK(http_head_end(text, len, &scanned) == len);
        CHECK(http_head_read(&again, text, len) == HTTP_STATUS_OK);
        CHECK(again.method == h->method && strcmp(again.target, h->target) == 0 && again.is_last == h->is_last);
        CHECK(again.is_chunked == h->is_chunked && again.has_length == h->has_length && again.length == h->length);
        http_head_fini(&again);
    }
    evbuffer_free(out);
}

/* In pieces of so many bytes, 0: at once. */
static enum chunks_state read_chunks(const uint8_t *at, size_t len, size_t piece, struct evbuffer *in,
                                     struct evbuffer *body)
{
    struct chunks c = {0};
    enum chunks_state state = CHUNKS_MORE;
    do {
        size_t n = piece == 0 || piece > len ? len : piece;
        evbuffer_add(in, at, n);
        at += n;
        len -= n;
        state = chunks_read(&c, in, body, BODY_MAX);
        CHECK(evbuffer_get_length(body) <= BODY_MAX);
    } while (len > 0 && state == CHUNKS_MORE);
    evbuffer_add(in, at, len);
    return state;
}

static void check_equal(struct evbuffer *a, struct evbuffer *b)
{
    size_t len = evbuffer_get_length(a);
    CHECK(len == evbuffer_get_length(b));
    CHECK(len == 0 || memcmp(evbuffer_pullup(a, -1), evbuffer_pullup(b, -1), len) == 0);
}

static void check_chunks(const uint8_t *at, size_t len, size_t piece)
{
    struct evbuffer *in = evbuffer_new(), *body = evbuffer_new(), *in_pieces = evbuffer_new(), *other = evbuffer_new();
    enum chunks_state state = read_chunks(at, len, 0, in, body);
    CHECK(read_chunks(at, len, piece, in_pieces, other) == state);
    if (state == CHUNKS_END || state == CHUNKS_MORE) {
        check_equal(in, in_pieces);
        check_equal(body, other);
    }
    evbuffer_free(in);
    evbuffer_free(body);
    evbuffer_free(in_pieces);
    evbuffer_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const size_t piece = (size_t)data[0] + 1, len = size - 1;
    const char *text = (const char *)data + 1;
    size_t scanned = 0, grown = 0, in_pieces = 0, end = http_head_end(text, len, &scanned);
    for (size_t n = piece; in_pieces == 0 && n < len + piece; n += piece)
        in_pieces = http_head_end(text, n < len ? n : len, &grown);
    CHECK(in_pieces == end);
    if (end == 0) {
        check_chunks(data + 1, len, piece);
        (void)http_head_check(text, len);
        return 0;
    }
    struct http_head h;
    if (http_head_read(&h, text, end) == HTTP_STATUS_OK) {
        CHECK(!(h.has_length && h.is_chunked) && (h.has_length || h.length == 0));
        check_again(&h);
        if (h.is_chunked)
            check_chunks(data + 1 + end, len - end, piece);
    }
    http_head_fini(&h);
    return 0;
}
