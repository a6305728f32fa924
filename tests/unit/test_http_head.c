#include "broker/admin/http_head.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/chunks.h"
#include "broker/admin/pack.h"
#include "tests/unit/unit.h"

static enum http_status status_of(const char *text)
{
    struct http_head h;
    enum http_status status = http_head_read(&h, text, strlen(text));
    http_head_fini(&h);
    return status;
}

static void a_head_is_its_line_and_its_fields(void **state)
{
    (void)state;
    static const char text[] =
        "PUT /api/queues/%2F/a b HTTP/1.1\r\nHost: x\r\nContent-Length:  12 \r\nX-Empty:\r\n\r\n";
    struct http_head h;
    assert_int_equal(http_head_read(&h, text, sizeof text - 1), HTTP_STATUS_OK);
    assert_int_equal(h.method, EVHTTP_REQ_PUT);
    assert_string_equal(h.target, "/api/queues/%2F/a b");
    assert_string_equal(evhttp_find_header(&h.fields, "host"), "x");
    assert_string_equal(evhttp_find_header(&h.fields, "X-Empty"), "");
    assert_true(h.has_length && h.length == 12 && !h.is_last && !h.is_old && !h.is_chunked);
    http_head_fini(&h);
}

static void its_end_is_found_whatever_pieces_it_comes_in(void **state)
{
    (void)state;
    static const char *const heads[] = {"GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n",
                                        "GET / HTTP/1.1\r\nA: b\n\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        size_t len = strlen(heads[i]), scanned = 0, all = 0;
        for (size_t n = 1; n < len; n++)
            assert_int_equal(http_head_end(heads[i], n, &scanned), 0);
        assert_int_equal(http_head_end(heads[i], len, &scanned), len);
        assert_int_equal(http_head_end(heads[i], len, &all), len);
        assert_int_equal(status_of(heads[i]), HTTP_STATUS_OK);
    }
}

static void what_two_programs_could_read_differently_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",
        "GET\r\n\r\n",
        "\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (status_of(bad[i]) != HTTP_STATUS_BAD)
            fail_msg("%zu is answered %d", i, (int)status_of(bad[i]));
    assert_int_equal(status_of("GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
                     HTTP_STATUS_NOT_IMPLEMENTED);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n"), HTTP_STATUS_TOO_LARGE);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), HTTP_STATUS_OK);
}

static void whether_the_connection_stays_is_the_clients_word(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_last;
    } all[] = {
        {"GET / HTTP/1.1\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct http_head h;
        assert_int_equal(http_head_read(&h, all[i].text, strlen(all[i].text)), HTTP_STATUS_OK);
        assert_int_equal(h.is_last, all[i].is_last);
        http_head_fini(&h);
    }
}

static void line_fields_and_head_have_their_limits(void **state)
{
    (void)state;
    char *text = malloc(2 * HTTP_HEAD_MAX);
    memset(text, 'x', 2 * HTTP_HEAD_MAX);
    assert_int_equal(http_head_check(text, HTTP_LINE_MAX - 1), HTTP_STATUS_OK);
    assert_int_equal(http_head_check(text, HTTP_LINE_MAX), HTTP_STATUS_URI_TOO_LONG);
    text[100] = '\n';
    assert_int_equal(http_head_check(text, HTTP_HEAD_MAX), HTTP_STATUS_OK);
    assert_int_equal(http_head_check(text, HTTP_HEAD_MAX + 1), HTTP_STATUS_HEADERS_TOO_LARGE);
    for (unsigned fields = HTTP_FIELDS_MAX; fields <= HTTP_FIELDS_MAX + 1; fields++) {
        size_t len = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");
        for (unsigned i = 0; i < fields; i++)
            len += (size_t)sprintf(text + len, "A%u: b\r\n", i);
        sprintf(text + len, "\r\n");
        assert_int_equal(status_of(text), fields <= HTTP_FIELDS_MAX ? HTTP_STATUS_OK : HTTP_STATUS_HEADERS_TOO_LARGE);
    }
    free(text);
}

/* ---- Chunks. */

static enum chunks_state unwrap(const char *text, size_t piece, uint64_t max, char *to, size_t room)
{
    struct evbuffer *in = evbuffer_new(), *out = evbuffer_new();
    struct chunks c = {0};
    enum chunks_state state = CHUNKS_MORE;
    for (size_t at = 0, len = strlen(text); at < len && state == CHUNKS_MORE; at += piece) {
        evbuffer_add(in, text + at, len - at < piece ? len - at : piece);
        state = chunks_read(&c, in, out, max);
    }
    ev_ssize_t n = evbuffer_copyout(out, to, room - 1);
    to[n > 0 ? n : 0] = '\0';
    evbuffer_free(in);
    evbuffer_free(out);
    return state;
}

static void chunks_are_unwrapped_whatever_pieces_they_come_in(void **state)
{
    (void)state;
    static const char text[] = "5;a=b\r\nhello\r\n006\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
    char body[64];
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        assert_int_equal(unwrap(text, piece, 11, body, sizeof body), CHUNKS_END);
        assert_string_equal(body, "hello world");
        assert_int_equal(unwrap(text, piece, 10, body, sizeof body), CHUNKS_TOO_LARGE);
    }
}

static void what_are_no_chunks_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"x\r\n",
                                      "\r\n",
                                      "-1\r\n",
                                      "1 1\0",
                                      "5\r\nhelloX\r\n",
                                      "1ffffffffffffffff\r\n",
                                      "5x\r\nhello\r\n",
                                      "5\nhello\r\n0\r\n\r\n",
                                      "5\r\nhello\n0\r\n\r\n",
                                      "5;\nx\r\nhello\r\n0\r\n\r\n",
                                      "0\r\n\n",
                                      "0\r\nA: b\n\r\n\r\n"};
    char body[64];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t piece = 1; piece < 8; piece++)
            if (unwrap(bad[i], piece, 1000, body, sizeof body) == CHUNKS_END)
                fail_msg("%zu is taken for chunks", i);
    char *line = malloc(CHUNKS_LINE_MAX + 10);
    memset(line, '0', CHUNKS_LINE_MAX + 9);
    line[CHUNKS_LINE_MAX + 9] = '\0';
    assert_int_equal(unwrap(line, 1, 1000, body, sizeof body), CHUNKS_BAD);
    free(line);
    assert_int_equal(unwrap("fffffffffffffff\r\n", 1, 1000, body, sizeof body), CHUNKS_TOO_LARGE);
}

/* ---- Packing. */

static void gzip_is_for_those_who_accept_it(void **state)
{
    (void)state;
    static const char *const yes[] = {"gzip", "deflate, gzip",        "GZIP;q=0.5",
                                      "*",    "br;q=1.0, gzip;q=0.8", "gzip;q=0.05"};
    static const char *const no[] = {"", "identity", "gzip;q=0", "gzip; q=0.0", "gzipped", "br", "deflate;q=0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!pack_is_accepted(yes[i]))
            fail_msg("'%s' accepts it", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (pack_is_accepted(no[i]))
            fail_msg("'%s' does not accept it", no[i]);
    assert_false(pack_is_accepted(NULL));
}

static void what_is_small_is_left_as_it_is(void **state)
{
    (void)state;
    struct evbuffer *b = evbuffer_new();
    char text[PACK_MIN] = {0};
    evbuffer_add(b, text, sizeof text - 1);
    assert_false(pack(b));
    assert_int_equal(evbuffer_get_length(b), sizeof text - 1);
    evbuffer_add(b, text, 1);
    assert_true(pack(b));
    assert_true(evbuffer_get_length(b) > 0 && evbuffer_get_length(b) < sizeof text);
    evbuffer_free(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_its_line_and_its_fields),
        cmocka_unit_test(its_end_is_found_whatever_pieces_it_comes_in),
        cmocka_unit_test(what_two_programs_could_read_differently_is_refused),
        cmocka_unit_test(whether_the_connection_stays_is_the_clients_word),
        cmocka_unit_test(line_fields_and_head_have_their_limits),
        cmocka_unit_test(chunks_are_unwrapped_whatever_pieces_they_come_in),
        cmocka_unit_test(what_are_no_chunks_is_refused),
        cmocka_unit_test(gzip_is_for_those_who_accept_it),
        cmocka_unit_test(what_is_small_is_left_as_it_is),
    };
    return unit_main("admin/http_head", tests, argc, argv);
}
