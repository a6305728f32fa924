#include "vectors.h"

#include <stdio.h>

#include "codec/frame.h"
#include "codec/method.h"
#include "codec/table.h"

/* The payload of a method vector, exactly sized. */
static struct bytes payload_of(const char *text)
{
    struct bytes whole = hex(text);
    struct frame f;
    size_t used;
    assert_int_equal(frame_cut(whole, 131072, &f, &used), FRAME_OK);
    assert_int_equal(f.type, FRAME_METHOD);
    struct bytes payload = exact(f.payload);
    drop(whole);
    return payload;
}

static const struct {
    const char *frame;
    enum method_id id;
} vectors[] = {
    {HEX_TUNE, METHOD_connection_tune},
    {HEX_TUNE_OK, METHOD_connection_tune_ok},
    {HEX_START_OK, METHOD_connection_start_ok},
    {HEX_OPEN, METHOD_connection_open},
    {HEX_OPEN_OK, METHOD_connection_open_ok},
    {HEX_CHANNEL_OPEN, METHOD_channel_open},
    {HEX_CHANNEL_OPEN_OK, METHOD_channel_open_ok},
    {HEX_QUEUE_DECLARE, METHOD_queue_declare},
    {HEX_QUEUE_DECLARE_OK, METHOD_queue_declare_ok},
    {HEX_BASIC_PUBLISH, METHOD_basic_publish},
    {HEX_BASIC_DELIVER, METHOD_basic_deliver},
    {HEX_BASIC_ACK, METHOD_basic_ack},
    {HEX_CHANNEL_CLOSE, METHOD_channel_close},
    {HEX_CHANNEL_CLOSE_OK, METHOD_channel_close_ok},
};
enum { N_VECTORS = sizeof(vectors) / sizeof(vectors[0]) };

static void every_vector_is_decoded_and_encoded_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct bytes b = payload_of(vectors[i].frame);
        union method m;
        uint8_t room[256];
        struct pen p = pen_over(room, sizeof(room));
        assert_int_equal(method_decode(b, &m), METHOD_OK);
        assert_int_equal(m.id, vectors[i].id);
        method_encode(&p, &m);
        assert_false(p.full);
        assert_bytes_equal(pen_written(&p), b);
        drop(b);
    }
}

static void every_vector_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct bytes b = payload_of(vectors[i].frame);
        for (size_t len = 0; len < b.len; len++) {
            struct bytes part = exact(bytes_of(b.at, len));
            union method m;
            assert_int_equal(method_decode(part, &m), METHOD_CANNOT_DECODE);
            assert_int_equal(m.id, len < 4 ? 0 : (int)vectors[i].id);
            drop(part);
        }
        drop(b);
    }
}

static void every_vector_with_a_byte_more_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct bytes b = payload_of(vectors[i].frame);
        uint8_t longer[256] = {0};
        memcpy(longer, b.at, b.len);
        union method m;
        assert_int_equal(method_decode(bytes_of(longer, b.len + 1), &m), METHOD_CANNOT_DECODE);
        assert_int_equal(m.id, vectors[i].id);
        drop(b);
    }
}

static void tune_holds_three_numbers(void **state)
{
    (void)state;
    struct bytes b = payload_of(HEX_TUNE);
    union method m;
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    assert_int_equal(m.connection_tune.channel_max, 2047);
    assert_int_equal(m.connection_tune.frame_max, 131072);
    assert_int_equal(m.connection_tune.heartbeat, 60);
    drop(b);
}

static void start_ok_holds_a_table_and_strings_of_both_kinds(void **state)
{
    (void)state;
    struct bytes b = payload_of(HEX_START_OK);
    union method m;
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    const struct connection_start_ok *ok = &m.connection_start_ok;
    struct field capabilities, nack;
    assert_true(table_find(ok->client_properties, BYTES("capabilities"), &capabilities));
    assert_int_equal(capabilities.type, 'F');
    assert_true(table_find(capabilities.bytes, BYTES("basic.nack"), &nack));
    assert_true(nack.boolean);
    assert_bytes_equal(ok->mechanism, BYTES("PLAIN"));
    assert_bytes_equal(ok->response, BYTES("\0guest\0guest"));
    assert_bytes_equal(ok->locale, BYTES("en_US"));
    drop(b);
}

static void declare_tells_its_bits_apart(void **state)
{
    (void)state;
    struct bytes b = payload_of(HEX_QUEUE_DECLARE);
    union method m;
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    const struct queue_declare *d = &m.queue_declare;
    assert_bytes_equal(d->queue, BYTES("q"));
    assert_false(d->passive);
    assert_true(d->durable);
    assert_false(d->exclusive || d->auto_delete || d->no_wait);
    struct field f;
    assert_true(table_find(d->arguments, BYTES("x-max-length"), &f));
    assert_int_equal(f.integer, 5);
    drop(b);
}

static void publish_and_deliver_hold_what_the_vectors_say(void **state)
{
    (void)state;
    union method m;
    struct bytes b = payload_of(HEX_BASIC_PUBLISH);
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    assert_bytes_equal(m.basic_publish.exchange, BYTES(""));
    assert_bytes_equal(m.basic_publish.routing_key, BYTES("q"));
    assert_true(m.basic_publish.mandatory);
    assert_false(m.basic_publish.immediate);
    drop(b);

    b = payload_of(HEX_BASIC_DELIVER);
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    assert_bytes_equal(m.basic_deliver.consumer_tag, BYTES("c"));
    assert_int_equal(m.basic_deliver.delivery_tag, 1);
    assert_false(m.basic_deliver.redelivered);
    assert_bytes_equal(m.basic_deliver.exchange, BYTES(""));
    assert_bytes_equal(m.basic_deliver.routing_key, BYTES("q"));
    drop(b);
}

static void close_and_ack_hold_what_the_vectors_say(void **state)
{
    (void)state;
    union method m;
    struct bytes b = payload_of(HEX_CHANNEL_CLOSE);
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    assert_int_equal(m.channel_close.reply_code, 404);
    assert_bytes_equal(m.channel_close.reply_text, BYTES("NOT_FOUND - no queue 'q' in vhost '/'"));
    assert_int_equal(m.channel_close.class_id, 50);
    assert_int_equal(m.channel_close.method_id, 10);
    drop(b);

    b = payload_of(HEX_BASIC_ACK);
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    assert_int_equal(m.basic_ack.delivery_tag, 1);
    assert_false(m.basic_ack.multiple);
    drop(b);
}

/* Gives a field the value that the seed stands for. */
static void fill(void *to, enum wire wire, unsigned seed)
{
    const struct bytes strings[] = {{0}, BYTES("q"), BYTES("gr\xc3\xbc\xc3\x9f"), BYTES("\0nul")};
    const struct bytes tables[] = {{0}, BYTES("\001at\001"), BYTES("\001aF\0\0\0\004\001bt\0")};
    switch (wire) {
    case WIRE_bit:
        *(bool *)to = seed % 2 != 0;
        break;
    case WIRE_u8:
        *(uint8_t *)to = (uint8_t)(0xF1 + seed);
        break;
    case WIRE_u16:
        *(uint16_t *)to = (uint16_t)(0xF1F2 + seed);
        break;
    case WIRE_u32:
        *(uint32_t *)to = 0xF1F2F3F4 + seed;
        break;
    case WIRE_u64:
        *(uint64_t *)to = 0xF1F2F3F4F5F6F7F8 + seed;
        break;
    case WIRE_shortstr:
    case WIRE_rawstr:
    case WIRE_longstr:
        *(struct bytes *)to = strings[seed % 4];
        break;
    case WIRE_table:
        *(struct bytes *)to = tables[seed % 3];
        break;
    case WIRE_END:
        break;
    }
}

static bool same_field(const void *a, const void *b, enum wire wire)
{
    switch (wire) {
    case WIRE_bit:
        return *(const bool *)a == *(const bool *)b;
    case WIRE_u8:
        return *(const uint8_t *)a == *(const uint8_t *)b;
    case WIRE_u16:
        return *(const uint16_t *)a == *(const uint16_t *)b;
    case WIRE_u32:
        return *(const uint32_t *)a == *(const uint32_t *)b;
    case WIRE_u64:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case WIRE_shortstr:
    case WIRE_rawstr:
    case WIRE_longstr:
    case WIRE_table:
        return bytes_equal(*(const struct bytes *)a, *(const struct bytes *)b);
    case WIRE_END:
        break;
    }
    return false;
}

static void fill_all(union method *m, const struct method_info *info, unsigned seed)
{
    memset(m, 0, sizeof(*m));
    m->id = info->id;
    for (const struct method_field *f = info->fields; f->wire != WIRE_END; f++)
        fill((uint8_t *)m + f->offset, f->wire, seed++);
}

static void every_method_survives_a_round_trip(void **state)
{
    (void)state;
    for (unsigned i = 0; method_at(i) != NULL; i++) {
        const struct method_info *info = method_at(i);
        for (unsigned seed = 0; seed < 12; seed++) {
            union method in, out;
            uint8_t room[512];
            struct pen p = pen_over(room, sizeof(room));
            fill_all(&in, info, seed);
            method_encode(&p, &in);
            assert_false(p.full);
            struct bytes b = exact(pen_written(&p));
            assert_int_equal(method_decode(b, &out), METHOD_OK);
            assert_int_equal(out.id, info->id);
            for (const struct method_field *f = info->fields; f->wire != WIRE_END; f++)
                assert_true(same_field((uint8_t *)&in + f->offset, (uint8_t *)&out + f->offset, f->wire));
            drop(b);
        }
    }
}

static void every_method_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; method_at(i) != NULL; i++) {
        union method in, out;
        uint8_t room[512];
        struct pen p = pen_over(room, sizeof(room));
        fill_all(&in, method_at(i), i);
        method_encode(&p, &in);
        for (size_t len = 0; len < pen_written(&p).len; len++) {
            struct bytes part = exact(bytes_of(room, len));
            assert_int_equal(method_decode(part, &out), METHOD_CANNOT_DECODE);
            drop(part);
        }
    }
}

static void every_method_without_room_enough_makes_the_pen_full(void **state)
{
    (void)state;
    for (unsigned i = 0; method_at(i) != NULL; i++) {
        union method m;
        uint8_t room[512];
        struct pen p = pen_over(room, sizeof(room));
        fill_all(&m, method_at(i), i);
        method_encode(&p, &m);
        for (size_t len = 0; len < pen_written(&p).len; len++) {
            uint8_t *at = malloc(len + (len == 0));
            struct pen small = pen_over(at, len);
            method_encode(&small, &m);
            assert_true(small.full);
            free(at);
        }
    }
}

static void methods_are_found_by_id_and_by_number(void **state)
{
    (void)state;
    unsigned n = 0;
    for (; method_at(n) != NULL; n++)
        assert_ptr_equal(method_find(method_at(n)->id), method_at(n));
    assert_true(n > 60);
    assert_null(method_at(n));
    assert_null(method_at(UINT32_MAX));
    assert_null(method_find(0));
    assert_null(method_find(UINT32_MAX));
    assert_null(method_find(40 << 16 | 41)); /* exchange.unbind-ok is 51 */
    assert_non_null(method_find(40 << 16 | 51));
}

/* Compares with the names in methods.def, every underscore read as a hyphen. */
static void every_name_is_spelt_as_in_the_specification(void **state)
{
    (void)state;
    static const char *const plain[] = {
#define METHOD(c, m, cid, mid, flags) #c "." #m,
#define FIELD(c, m, type, name)
#define END(c, m)
#include "codec/methods.def"
    };
    for (unsigned i = 0; method_at(i) != NULL; i++) {
        char want[64];
        snprintf(want, sizeof(want), "%s", plain[i]);
        for (char *at = want; *at != '\0'; at++)
            if (*at == '_')
                *at = '-';
        assert_string_equal(method_at(i)->name, want);
    }
    assert_string_equal(method_find(METHOD_connection_update_secret_ok)->name, "connection.update-secret-ok");
    assert_string_equal(method_find(METHOD_basic_recover_async)->name, "basic.recover-async");
    assert_string_equal(method_find(METHOD_basic_return)->name, "basic.return");
}

static void the_tables_say_who_sends_what(void **state)
{
    (void)state;
    assert_int_equal(method_find(METHOD_basic_publish)->flags, FROM_CLIENT | HAS_CONTENT);
    assert_int_equal(method_find(METHOD_basic_deliver)->flags, FROM_SERVER | HAS_CONTENT);
    assert_int_equal(method_find(METHOD_channel_close)->flags, FROM_CLIENT | FROM_SERVER);
    assert_string_equal(method_find(METHOD_basic_publish)->fields[2].name, "routing_key");
    assert_int_equal(method_find(METHOD_tx_select)->fields[0].wire, WIRE_END);
}

static void an_unknown_method_is_told_with_its_id(void **state)
{
    (void)state;
    struct bytes b = hex("003c 00ff 010203");
    union method m;
    assert_int_equal(method_decode(b, &m), METHOD_UNKNOWN);
    assert_int_equal(m.id, 0x003c00ff);
    drop(b);
    b = hex("ffff ffff");
    assert_int_equal(method_decode(b, &m), METHOD_UNKNOWN);
    assert_int_equal((uint32_t)m.id, UINT32_MAX);
    drop(b);
}

static void an_unknown_method_is_not_encoded(void **state)
{
    (void)state;
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof(room));
    method_encode(&p, &(union method){.id = (enum method_id)0x003c00ff});
    assert_true(p.full);
}

static void bits_beyond_the_last_are_ignored(void **state)
{
    (void)state;
    struct bytes b = hex("003c 0050 0000000000000007 ff");
    union method m;
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    assert_true(m.basic_ack.multiple);
    drop(b);
}

static void a_short_string_that_is_no_utf8_is_refused(void **state)
{
    (void)state;
    struct bytes b = hex("0032 000a 0000 01ff 00 00000000");
    union method m;
    assert_int_equal(method_decode(b, &m), METHOD_BAD_UTF8);
    assert_int_equal(m.id, METHOD_queue_declare);
    drop(b);
}

static void exchange_and_routing_key_of_a_publish_may_be_any_bytes(void **state)
{
    (void)state;
    struct bytes b = hex("003c 0028 0000 01ff 02c080 00");
    union method m;
    assert_int_equal(method_decode(b, &m), METHOD_OK);
    assert_int_equal(m.basic_publish.routing_key.len, 2);
    drop(b);
}

static void a_malformed_table_is_refused(void **state)
{
    (void)state;
    static const char *const declares[] = {
        "0032 000a 0000 0171 00 00000004 016155ff", /* U is no letter */
        "0032 000a 0000 0171 00 00000003 016174",   /* no value */
        "0032 000a 0000 0171 00 00000001 00",       /* no letter */
        "0032 000a 0000 0171 00 ffffffff 00",       /* a length from nowhere */
    };
    for (size_t i = 0; i < sizeof(declares) / sizeof(declares[0]); i++) {
        struct bytes b = hex(declares[i]);
        union method m;
        assert_int_equal(method_decode(b, &m), METHOD_CANNOT_DECODE);
        assert_int_equal(m.id, METHOD_queue_declare);
        drop(b);
    }
}

static void a_short_string_of_256_bytes_is_not_encoded(void **state)
{
    (void)state;
    static const uint8_t text[256];
    uint8_t room[600];
    union method m = {.basic_publish = {.id = METHOD_basic_publish, .routing_key = bytes_of(text, 255)}};
    struct pen p = pen_over(room, sizeof(room));
    method_encode(&p, &m);
    assert_false(p.full);
    m.basic_publish.routing_key.len = 256;
    p = pen_over(room, sizeof(room));
    method_encode(&p, &m);
    assert_true(p.full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_is_decoded_and_encoded_as_it_was),
        cmocka_unit_test(every_vector_cut_short_anywhere_is_refused),
        cmocka_unit_test(every_vector_with_a_byte_more_is_refused),
        cmocka_unit_test(tune_holds_three_numbers),
        cmocka_unit_test(start_ok_holds_a_table_and_strings_of_both_kinds),
        cmocka_unit_test(declare_tells_its_bits_apart),
        cmocka_unit_test(publish_and_deliver_hold_what_the_vectors_say),
        cmocka_unit_test(close_and_ack_hold_what_the_vectors_say),
        cmocka_unit_test(every_method_survives_a_round_trip),
        cmocka_unit_test(every_method_cut_short_anywhere_is_refused),
        cmocka_unit_test(every_method_without_room_enough_makes_the_pen_full),
        cmocka_unit_test(methods_are_found_by_id_and_by_number),
        cmocka_unit_test(every_name_is_spelt_as_in_the_specification),
        cmocka_unit_test(the_tables_say_who_sends_what),
        cmocka_unit_test(an_unknown_method_is_told_with_its_id),
        cmocka_unit_test(an_unknown_method_is_not_encoded),
        cmocka_unit_test(bits_beyond_the_last_are_ignored),
        cmocka_unit_test(a_short_string_that_is_no_utf8_is_refused),
        cmocka_unit_test(exchange_and_routing_key_of_a_publish_may_be_any_bytes),
        cmocka_unit_test(a_malformed_table_is_refused),
        cmocka_unit_test(a_short_string_of_256_bytes_is_not_encoded),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
