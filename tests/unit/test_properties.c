#include "vectors.h"

#include "codec/frame.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { ALL = 0xFFFC };

static struct properties everything(void)
{
    return (struct properties){
        .flags = ALL,
        .content_type = BYTES("text/plain"),
        .content_encoding = BYTES("gzip"),
        .headers = BYTES("\001at\001"),
        .delivery_mode = 2,
        .priority = 9,
        .correlation_id = BYTES("c"),
        .reply_to = BYTES("reply"),
        .expiration = BYTES("60000"),
        .message_id = BYTES(""),
        .timestamp = 0x0102030405060708,
        .type = BYTES("type"),
        .user_id = BYTES("guest"),
        .app_id = BYTES("\xff\x00 any bytes"),
        .cluster_id = BYTES("cluster"),
    };
}

/* Keeps of p what flags announce. */
static struct properties only(struct properties p, unsigned flags)
{
    struct properties kept = {.flags = (uint16_t)(flags & ALL)};
#define PROPERTY(name, bit, wire)                                                                                      \
    if ((flags & (bit)) != 0)                                                                                          \
        kept.name = p.name;
#include "codec/properties.def"
    return kept;
}

static void assert_same(const struct properties *a, const struct properties *b)
{
    assert_int_equal(a->flags, b->flags);
    assert_bytes_equal(a->content_type, b->content_type);
    assert_bytes_equal(a->content_encoding, b->content_encoding);
    assert_bytes_equal(a->headers, b->headers);
    assert_int_equal(a->delivery_mode, b->delivery_mode);
    assert_int_equal(a->priority, b->priority);
    assert_bytes_equal(a->correlation_id, b->correlation_id);
    assert_bytes_equal(a->reply_to, b->reply_to);
    assert_bytes_equal(a->expiration, b->expiration);
    assert_bytes_equal(a->message_id, b->message_id);
    assert_int_equal(a->timestamp, b->timestamp);
    assert_bytes_equal(a->type, b->type);
    assert_bytes_equal(a->user_id, b->user_id);
    assert_bytes_equal(a->app_id, b->app_id);
    assert_bytes_equal(a->cluster_id, b->cluster_id);
}

static void the_vector_is_decoded_and_encoded_as_it_was(void **state)
{
    (void)state;
    struct bytes whole = hex(HEX_CONTENT_HEADER);
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(whole, 131072, &f, &used), FRAME_OK);
    struct bytes b = exact(bytes_of(f.payload.at + 12, f.payload.len - 12));
    struct properties p;
    assert_true(properties_decode(b, &p));
    struct properties want = {
        .flags = PROPERTY_content_type | PROPERTY_delivery_mode, .content_type = BYTES("t/p"), .delivery_mode = 2};
    assert_same(&p, &want);
    assert_true(properties_has(&p, PROPERTY_delivery_mode));
    assert_false(properties_has(&p, PROPERTY_headers));

    uint8_t room[64];
    struct pen pen = pen_over(room, sizeof(room));
    properties_encode(&pen, &p);
    assert_bytes_equal(pen_written(&pen), b);
    drop(b);
    drop(whole);
}

static void every_set_of_properties_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= ALL; flags += 4) {
        struct properties in = only(everything(), flags), out;
        uint8_t room[256];
        struct pen pen = pen_over(room, sizeof(room));
        properties_encode(&pen, &in);
        struct bytes b = exact(pen_written(&pen));
        assert_false(pen.full);
        assert_true(b.len <= properties_size(&in));
        assert_true(properties_decode(b, &out));
        assert_same(&out, &in);
        drop(b);
    }
}

static void all_of_them_are_written_in_the_specifications_order(void **state)
{
    (void)state;
    struct properties p = everything();
    uint8_t room[256];
    struct pen pen = pen_over(room, sizeof(room));
    properties_encode(&pen, &p);
    struct bytes want = hex("fffc 0a746578742f706c61696e 04677a6970 00000004 01617401 02 09 0163 057265706c79"
                            "053630303030 00 0102030405060708 0474797065 056775657374 0cff0020616e79206279746573"
                            "07636c7573746572");
    assert_bytes_equal(pen_written(&pen), want);
    assert_true(want.len <= properties_size(&p));
    drop(want);
}

static void properties_cut_short_anywhere_are_refused(void **state)
{
    (void)state;
    struct properties p = everything(), out;
    uint8_t room[256];
    struct pen pen = pen_over(room, sizeof(room));
    properties_encode(&pen, &p);
    for (size_t len = 0; len < pen_written(&pen).len; len++) {
        struct bytes part = exact(bytes_of(room, len));
        assert_false(properties_decode(part, &out));
        drop(part);
    }
}

static void properties_without_room_enough_make_the_pen_full(void **state)
{
    (void)state;
    struct properties p = everything();
    uint8_t room[256];
    struct pen pen = pen_over(room, sizeof(room));
    properties_encode(&pen, &p);
    for (size_t len = 0; len < pen_written(&pen).len; len++) {
        uint8_t *at = malloc(len + (len == 0));
        struct pen small = pen_over(at, len);
        properties_encode(&small, &p);
        assert_true(small.full);
        free(at);
    }
}

static void malformed_properties_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",                                 /* no flags */
        "00",                               /* half of them */
        "0000 00",                          /* a byte left over */
        "1000 02 00",                       /* likewise */
        "8000 05 6161",                     /* a string longer than what is there */
        "2000 00000004 01615501",           /* U is no letter */
        "2000 00000003 016174",             /* a header without a value */
        "2000 00000005 01617401",           /* a table longer than what is there */
        "2000 ffffffff",                    /* likewise */
        "2000 00000009 016146 00000005 01", /* an inner table longer than the outer one */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = hex(bad[i]);
        struct properties p;
        assert_false(properties_decode(b, &p));
        drop(b);
    }
}

static void the_two_lowest_bits_are_ignored(void **state)
{
    (void)state;
    struct bytes b = hex("1003 02");
    struct properties p;
    assert_true(properties_decode(b, &p));
    assert_int_equal(p.flags, PROPERTY_delivery_mode);
    assert_int_equal(p.delivery_mode, 2);
    uint8_t room[8];
    struct pen pen = pen_over(room, sizeof(room));
    p.flags |= 3;
    properties_encode(&pen, &p);
    struct bytes want = hex("1000 02");
    assert_bytes_equal(pen_written(&pen), want);
    drop(want);
    drop(b);
}

static void no_headers_and_empty_headers_are_kept_apart(void **state)
{
    (void)state;
    struct bytes b = hex("2000 00000000");
    struct properties p;
    assert_true(properties_decode(b, &p));
    assert_true(properties_has(&p, PROPERTY_headers));
    assert_int_equal(p.headers.len, 0);
    drop(b);
    b = hex("0000");
    assert_true(properties_decode(b, &p));
    assert_false(properties_has(&p, PROPERTY_headers));
    drop(b);
}

static void a_short_string_of_256_bytes_makes_the_pen_full(void **state)
{
    (void)state;
    static const uint8_t text[256];
    uint8_t room[600];
    struct properties p = {.flags = PROPERTY_message_id, .message_id = bytes_of(text, 256)};
    struct pen pen = pen_over(room, sizeof(room));
    properties_encode(&pen, &p);
    assert_true(pen.full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_is_decoded_and_encoded_as_it_was),
        cmocka_unit_test(every_set_of_properties_survives_a_round_trip),
        cmocka_unit_test(all_of_them_are_written_in_the_specifications_order),
        cmocka_unit_test(properties_cut_short_anywhere_are_refused),
        cmocka_unit_test(properties_without_room_enough_make_the_pen_full),
        cmocka_unit_test(malformed_properties_are_refused),
        cmocka_unit_test(the_two_lowest_bits_are_ignored),
        cmocka_unit_test(no_headers_and_empty_headers_are_kept_apart),
        cmocka_unit_test(a_short_string_of_256_bytes_makes_the_pen_full),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
