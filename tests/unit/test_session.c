/* The connection: handshake, states, and frames that cannot be. */
#include "tests/unit/rig.h"

#include <string.h>

#include "codec/table.h"

/* ---- Handshake. */

static bool wants(const struct rig *r, unsigned wish)
{
    return (session_wants(r->session) & wish) == wish;
}

static void pass(struct rig *r, uint64_t ms)
{
    r->now += ms;
    session_tick(r->session, r->now);
    rig_turn(r);
}

static void tune(struct rig *r, uint16_t channel_max, uint32_t frame_max, uint16_t heartbeat)
{
    struct connection_tune_ok ok = {
        .id = METHOD_connection_tune_ok, .channel_max = channel_max, .frame_max = frame_max, .heartbeat = heartbeat};
    rig_send(r, 0, &(union method){.connection_tune_ok = ok});
}

static void open_vhost(struct rig *r, const char *name)
{
    struct connection_open open = {.id = METHOD_connection_open, .virtual_host = bytes_of_string(name)};
    rig_send(r, 0, &(union method){.connection_open = open});
}

static void start_ok(struct rig *r, const char *mechanism, struct bytes response, struct bytes properties)
{
    struct connection_start_ok ok = {
        .id = METHOD_connection_start_ok,
        .client_properties = properties,
        .mechanism = bytes_of_string(mechanism),
        .response = response,
    };
    rig_send(r, 0, &(union method){.connection_start_ok = ok});
}

/* A session that has sent connection.start. */
static struct rig *started(void)
{
    struct rig *r = rig_create();
    rig_bytes(r, BYTES("AMQP\0\0\x09\x01"));
    rig_expect(r, 0, METHOD_connection_start, NULL);
    return r;
}

TEST(the_protocol_header_may_come_in_pieces)
{
    struct rig *r = rig_create();
    const uint8_t header[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    for (size_t i = 0; i < sizeof header; i++) {
        rig_expect_nothing(r);
        rig_bytes(r, bytes_of(&header[i], 1));
    }
    rig_expect(r, 0, METHOD_connection_start, NULL);
    rig_destroy(r);
}

TEST(another_protocol_is_told_ours)
{
    struct rig *r = rig_create();
    rig_bytes(r, BYTES("GET / HTTP/1.1\r\n"));
    assert_int_equal(r->out_len, 8);
    assert_memory_equal(r->out, "AMQP\0\0\x09\x01", 8);
    assert_true(wants(r, SESSION_CLOSE));
    assert_true(session_is_over(r->session));
    assert_int_equal(r->in_len, 0);
    rig_destroy(r);
}

TEST(connection_start_says_what_clients_look_for)
{
    struct rig *r = rig_create();
    union method m;
    struct field f, capability;
    rig_bytes(r, BYTES("AMQP\0\0\x09\x01"));
    rig_expect(r, 0, METHOD_connection_start, &m);
    struct bytes properties = m.connection_start.server_properties;
    assert_int_equal(m.connection_start.version_major, 0);
    assert_int_equal(m.connection_start.version_minor, 9);
    assert_true(bytes_equal(m.connection_start.mechanisms, BYTES("PLAIN AMQPLAIN")));
    assert_true(bytes_equal(m.connection_start.locales, BYTES("en_US")));
    assert_true(table_find(properties, BYTES("product"), &f) && bytes_equal(f.bytes, BYTES("RabbitMQ")));
    assert_true(table_find(properties, BYTES("version"), &f) && bytes_equal(f.bytes, BYTES("3.13.7")));
    assert_true(table_find(properties, BYTES("broker"), &f) && bytes_equal(f.bytes, BYTES("Millrace")));
    assert_true(table_find(properties, BYTES("capabilities"), &f) && f.type == 'F');
    assert_true(table_find(f.bytes, BYTES("basic.nack"), &capability) && capability.boolean);
    assert_true(table_find(f.bytes, BYTES("direct_reply_to"), &capability) && capability.boolean);
    rig_destroy(r);
}

TEST(the_whole_handshake_may_be_pipelined)
{
    struct rig *r = rig_create();
    uint8_t room[1024];
    struct pen p = pen_over(room, sizeof room);
    const union method methods[] = {
        {.connection_start_ok = {.id = METHOD_connection_start_ok,
                                 .mechanism = BYTES("PLAIN"),
                                 .response = BYTES("\0guest\0guest")}},
        {.connection_tune_ok = {.id = METHOD_connection_tune_ok, .channel_max = 5, .frame_max = 4096}},
        {.connection_open = {.id = METHOD_connection_open, .virtual_host = BYTES("/")}},
        {.channel_open = {.id = METHOD_channel_open}},
    };
    pen_bytes(&p, BYTES("AMQP\0\0\x09\x01"));
    for (unsigned i = 0; i < 4; i++) {
        uint8_t *mark = frame_open(&p, FRAME_METHOD, i == 3);
        method_encode(&p, &methods[i]);
        frame_close(&p, mark);
    }
    rig_bytes(r, pen_written(&p));
    rig_expect(r, 0, METHOD_connection_start, NULL);
    rig_expect(r, 0, METHOD_connection_tune, NULL);
    rig_expect_nothing(r);
    assert_false(wants(r, SESSION_READ));
    rig_carry_out(r, ATTACH);
    rig_expect(r, 0, METHOD_connection_open_ok, NULL);
    assert_true(wants(r, SESSION_READ));
    rig_feed_again(r);
    rig_expect(r, 1, METHOD_channel_open_ok, NULL);
    rig_destroy(r);
}

TEST(amqplain_logs_in_too)
{
    struct rig *r = started();
    uint8_t room[128];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("LOGIN"), BYTES("guest"));
    table_put_string(&p, BYTES("PASSWORD"), BYTES("guest"));
    start_ok(r, "AMQPLAIN", pen_written(&p), (struct bytes){0});
    rig_expect(r, 0, METHOD_connection_tune, NULL);
    rig_destroy(r);
}

TEST(a_refused_login_is_told_only_to_those_who_can_hear_it)
{
    uint8_t room[128];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = table_open(&p, BYTES("capabilities"), 'F');
    table_put_bool(&p, BYTES("authentication_failure_close"), true);
    table_close(&p, mark);

    struct rig *r = started();
    start_ok(r, "PLAIN", BYTES("\0guest\0wrong"), pen_written(&p));
    rig_expect_close(r, 0, 403,
                     "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the "
                     "broker logfile.",
                     0);
    rig_send_bare(r, 0, METHOD_connection_close_ok);
    assert_true(wants(r, SESSION_CLOSE));
    rig_destroy(r);

    r = started();
    start_ok(r, "PLAIN", BYTES("\0guest\0wrong"), (struct bytes){0});
    rig_expect_nothing(r);
    pass(r, SESSION_LINGER_MS - 1);
    assert_int_equal(session_wants(r->session), SESSION_READ);
    pass(r, 1);
    rig_expect_nothing(r);
    assert_true(wants(r, SESSION_CLOSE));
    rig_destroy(r);
}

TEST(a_refused_peer_is_gone_when_it_hangs_up)
{
    struct rig *r = started();
    start_ok(r, "PLAIN", BYTES("\0guest\0wrong"), (struct bytes){0});
    rig_expect_nothing(r);
    assert_int_equal(session_wants(r->session), SESSION_READ);
    session_lost(r->session);
    assert_true(session_is_over(r->session));
    rig_destroy(r);
}

TEST(a_refused_peer_that_goes_on_talking_is_not_read_for_ever)
{
    static const uint8_t noise[1024] = {0};
    struct rig *r = started();
    start_ok(r, "PLAIN", BYTES("\0guest\0wrong"), (struct bytes){0});
    size_t taken = 0;
    while (wants(r, SESSION_READ) && taken <= SESSION_GREETING_BYTES_MAX)
        taken += session_feed(r->session, bytes_of(noise, sizeof noise), 0);
    assert_in_range(taken, 1, SESSION_GREETING_BYTES_MAX);
    rig_expect_nothing(r);
    rig_destroy(r);
}

TEST(what_is_no_login_is_met_with_silence)
{
    static const struct {
        const char *mechanism;
        struct bytes response;
    } bad[] = {
        {"plain", {(const uint8_t *)"\0guest\0guest", 12}},
        {"EXTERNAL", {0}},
        {"PLAIN", {0}},
        {"PLAIN", {(const uint8_t *)"guest\0guest", 11}},
        {"PLAIN", {(const uint8_t *)"x\0guest\0guest", 13}},
        {"PLAIN", {(const uint8_t *)"\0guest", 6}},
        {"PLAIN", {(const uint8_t *)"\0guest\0gu\0est", 13}},
        {"AMQPLAIN", {(const uint8_t *)"\5LOGINS\0\0\0\1x", 12}},
        {"AMQPLAIN", {(const uint8_t *)"garbage", 7}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rig *r = started();
        start_ok(r, bad[i].mechanism, bad[i].response, (struct bytes){0});
        rig_expect_nothing(r);
        assert_int_equal(r->logins, 0);
        assert_int_equal(session_wants(r->session), SESSION_READ);
        rig_destroy(r);
    }
}

TEST(an_empty_password_is_not_even_tried)
{
    struct rig *r = started();
    start_ok(r, "PLAIN", BYTES("\0guest\0"), (struct bytes){0});
    assert_int_equal(r->logins, 0);
    assert_int_equal(session_wants(r->session), SESSION_READ);
    rig_destroy(r);
}

TEST(what_is_negotiated_stays_within_what_was_offered)
{
    static const struct {
        uint16_t channel_max;
        uint32_t frame_max;
        const char *text; /* NULL: accepted */
    } cases[] = {
        {2047, 131072, NULL},
        {1, 4096, NULL},
        {0, 131072, "NOT_ALLOWED - negotiated channel_max = 0 is higher than the maximum allowed value (2047)"},
        {2048, 131072, "NOT_ALLOWED - negotiated channel_max = 2048 is higher than the maximum allowed value (2047)"},
        {2047, 0, "NOT_ALLOWED - negotiated frame_max = 0 is higher than the maximum allowed value (131072)"},
        {2047, 4095, "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (4096)"},
        {2047, 131073, "NOT_ALLOWED - negotiated frame_max = 131073 is higher than the maximum allowed value (131072)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_greet(RIG_PLAIN);
        tune(r, cases[i].channel_max, cases[i].frame_max, 0);
        if (cases[i].text == NULL)
            rig_expect_nothing(r);
        else
            rig_expect_close(r, 0, 530, cases[i].text, METHOD_connection_tune_ok);
        rig_destroy(r);
    }
}

TEST(without_limits_anything_goes_but_a_floor)
{
    struct rig *r = rig_greet(RIG_PLAIN);
    static uint8_t body[300000];
    r->config.channel_max = 0;
    r->config.frame_max = 0;
    tune(r, 0, 0, 0);
    open_vhost(r, "/");
    rig_carry_out(r, ATTACH);
    rig_expect(r, 0, METHOD_connection_open_ok, NULL);
    rig_send_bare(r, 1, METHOD_channel_open);
    rig_expect(r, 1, METHOD_channel_open_ok, NULL);
    rig_send_bare(r, 1, METHOD_basic_publish);
    rig_header(r, 1, sizeof body, rig_no_properties());
    rig_frame(r, FRAME_BODY, 1, bytes_of(body, sizeof body));
    struct command c = rig_command(r, PUBLISH);
    struct event returned = {.what = RETURNED, .to = c.from};
    returned.delivered.msg = c.publish.msg;
    rig_event(r, &returned);
    rig_expect(r, 1, METHOD_basic_return, NULL);
    rig_expect_content(r, 1, bytes_of(body, sizeof body));
    rig_bytes(r, BYTES("\x03\0\x01\x02\0\0\0")); /* 32 MiB: some limit there must be */
    rig_carry_out(r, DETACH);
    rig_expect(r, 0, METHOD_connection_close, NULL);
    rig_destroy(r);
}

TEST(a_missing_virtual_host_is_not_allowed)
{
    struct rig *r = rig_greet(RIG_PLAIN);
    tune(r, 2047, 131072, 0);
    open_vhost(r, "nope");
    struct command c = rig_command(r, ATTACH);
    assert_true(bytes_equal(c.spec->name, BYTES("nope")));
    assert_true(bytes_equal(c.spec->source, BYTES("guest")));
    rig_fail(r, &c, NO_SUCH_VHOST, "vhost nope not found");
    rig_expect_close(r, 0, 530, "NOT_ALLOWED - vhost nope not found", METHOD_connection_open);
    rig_send_bare(r, 0, METHOD_connection_close_ok);
    assert_true(session_is_over(r->session)); /* there is nothing to detach */
    rig_destroy(r);
}

TEST(a_method_out_of_turn_is_met_with_silence_before_the_login_and_an_error_after)
{
    struct rig *r = started();
    rig_send_bare(r, 0, METHOD_connection_close);
    rig_expect_nothing(r);
    assert_int_equal(session_wants(r->session), SESSION_READ);
    rig_destroy(r);

    r = rig_greet(RIG_PLAIN);
    rig_send_bare(r, 0, METHOD_connection_open);
    rig_expect_nothing(r);
    rig_destroy(r);

    r = rig_greet(RIG_PLAIN);
    tune(r, 2047, 131072, 0);
    rig_send_bare(r, 0, METHOD_connection_close);
    rig_expect_close(r, 0, 504, "CHANNEL_ERROR - unexpected method in connection state opening",
                     METHOD_connection_close);
    rig_destroy(r);

    r = rig_open();
    open_vhost(r, "/");
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 504, "CHANNEL_ERROR - unexpected method in connection state running",
                     METHOD_connection_open);
    rig_destroy(r);
}

TEST(a_handshake_has_ten_seconds)
{
    struct rig *r = started();
    assert_int_equal(session_deadline(r->session), r->now + 10000);
    pass(r, 9999);
    assert_true(wants(r, SESSION_READ));
    pass(r, 1);
    rig_expect_nothing(r);
    assert_true(wants(r, SESSION_CLOSE));
    rig_destroy(r);
}

TEST(before_the_login_little_is_read)
{
    struct rig *r = started();
    for (int i = 0; i < 3000 && wants(r, SESSION_READ); i++)
        rig_frame(r, FRAME_HEARTBEAT, 0, (struct bytes){0});
    assert_false(wants(r, SESSION_READ));
    rig_expect_nothing(r);
    rig_destroy(r);

    r = started();
    rig_bytes(r, BYTES("\x01\0\0\0\0\x20\x01")); /* 8193 bytes are announced */
    assert_int_equal(session_wants(r->session), SESSION_READ);
    rig_destroy(r);
}

/* ---- Frames that cannot be. */

static void expect_frame_error(struct bytes bytes, unsigned code, const char *text, bool is_deaf)
{
    struct rig *r = rig_open();
    rig_bytes(r, bytes);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, code, text, 0);
    assert_int_equal(wants(r, SESSION_READ), !is_deaf);
    pass(r, is_deaf ? SESSION_LINGER_MS : SESSION_CLOSE_MS);
    assert_true(wants(r, SESSION_CLOSE));
    rig_destroy(r);
}

TEST(a_frame_that_cannot_be_is_described)
{
    expect_frame_error(BYTES("\x05\0\0\0\0\0\x03"
                             "abc\xCE"),
                       501, "FRAME_ERROR - type 5, all octets = <<\"abc\">>: unknown_frame", false);
    expect_frame_error(BYTES("\x05\0\x07\0\0\0\x12"
                             "0123456789abcdefgh\xCE"),
                       501, "FRAME_ERROR - type 5, first 16 octets = <<\"0123456789abcdef\">>: unknown_frame", false);
    expect_frame_error(BYTES("\x08\0\0\0\0\0\x01\0\xCE"), 501,
                       "FRAME_ERROR - type 8, all octets = <<0>>: unknown_frame", false);
    expect_frame_error(BYTES("\x08\0\x01\0\0\0\0\xCE"), 505, "UNEXPECTED_FRAME - type 8, all octets = <<>>", false);
    expect_frame_error(BYTES("\x03\0\0\0\0\0\x02\0\x14\xCE"), 505, "UNEXPECTED_FRAME - type 3, all octets = <<0,20>>",
                       false);
    expect_frame_error(BYTES("\x01\0\x01\0\0\0\x04\0\x14\0\x0AX"), 501,
                       "FRAME_ERROR - type 1, all octets = <<0,20,0,10>>: {invalid_frame_end_marker,88}", true);
    expect_frame_error(BYTES("\x01\0\x01\0\x02\0\x01"), 501,
                       "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,131073,131064}", true);
    expect_frame_error(BYTES("\x03\0\x01\0\0\0\x01x\xCE"), 505,
                       "UNEXPECTED_FRAME - expected method frame, got non method frame instead", false);
}

TEST(a_frame_may_be_eight_bytes_larger_than_it_should)
{
    struct rig *r = rig_open_with(RIG_PLAIN, 4096);
    static const char body[4097];
    rig_send_bare(r, 1, METHOD_basic_publish);
    rig_header(r, 1, 4096, rig_no_properties());
    rig_frame(r, FRAME_BODY, 1, bytes_of(body, 4096));
    struct command c = rig_command(r, PUBLISH);
    command_drop(&c);
    rig_send_bare(r, 1, METHOD_basic_publish);
    rig_header(r, 1, 4097, rig_no_properties());
    rig_frame(r, FRAME_BODY, 1, bytes_of(body, 4097));
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 501, "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088}", 0);
    rig_destroy(r);
}

TEST(a_method_that_cannot_be_read_ends_the_connection)
{
    static const struct {
        uint16_t channel;
        struct bytes payload;
        unsigned code;
        const char *text;
        uint32_t about;
    } bad[] = {
        {1, {(const uint8_t *)"\0\x32\0\x0A\0\1q", 7}, 501, "FRAME_ERROR - cannot decode <<0,1,113>>", 50 << 16 | 10},
        {1, {(const uint8_t *)"\0\x14\0\x0A\1\xFF", 6}, 501, "FRAME_ERROR - Malformed UTF-8 in shortstr", 0},
        {1, {(const uint8_t *)"\0\x63\0\x0A", 4}, 503, "COMMAND_INVALID - unimplemented method", 99 << 16 | 10},
        {1,
         {(const uint8_t *)"\0\x32\0\x0B\0\0\0\0\0\0\0\0\0", 13},
         503,
         "COMMAND_INVALID - unimplemented method",
         50 << 16 | 11},
        {0, {(const uint8_t *)"\0\x0A\0\x32\1", 5}, 541, "INTERNAL_ERROR", 0},
        {0, {(const uint8_t *)"\0\x63\0\x0A", 4}, 503, "COMMAND_INVALID - unimplemented method", 99 << 16 | 10},
        {9,
         {(const uint8_t *)"\0\x32\0\x1E\0\0\1q\0", 9},
         504,
         "CHANNEL_ERROR - expected 'channel.open'",
         50 << 16 | 30},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rig *r = rig_open();
        rig_frame(r, FRAME_METHOD, bad[i].channel, bad[i].payload);
        if (bad[i].about == (50 << 16 | 11))
            rig_carry_out(r, RESET); /* found by a handler: the channel ends first */
        rig_carry_out(r, DETACH);
        rig_expect_close(r, 0, bad[i].code, bad[i].text, (enum method_id)bad[i].about);
        rig_destroy(r);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_protocol_header_may_come_in_pieces),
        cmocka_unit_test(another_protocol_is_told_ours),
        cmocka_unit_test(connection_start_says_what_clients_look_for),
        cmocka_unit_test(the_whole_handshake_may_be_pipelined),
        cmocka_unit_test(amqplain_logs_in_too),
        cmocka_unit_test(a_refused_login_is_told_only_to_those_who_can_hear_it),
        cmocka_unit_test(a_refused_peer_is_gone_when_it_hangs_up),
        cmocka_unit_test(a_refused_peer_that_goes_on_talking_is_not_read_for_ever),
        cmocka_unit_test(what_is_no_login_is_met_with_silence),
        cmocka_unit_test(an_empty_password_is_not_even_tried),
        cmocka_unit_test(what_is_negotiated_stays_within_what_was_offered),
        cmocka_unit_test(without_limits_anything_goes_but_a_floor),
        cmocka_unit_test(a_missing_virtual_host_is_not_allowed),
        cmocka_unit_test(a_method_out_of_turn_is_met_with_silence_before_the_login_and_an_error_after),
        cmocka_unit_test(a_handshake_has_ten_seconds),
        cmocka_unit_test(before_the_login_little_is_read),
        cmocka_unit_test(a_frame_that_cannot_be_is_described),
        cmocka_unit_test(a_frame_may_be_eight_bytes_larger_than_it_should),
        cmocka_unit_test(a_method_that_cannot_be_read_ends_the_connection),
    };
    return unit_main("amqp/session: handshake", tests, argc, argv);
}
