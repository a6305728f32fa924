/* Messages that come in: publishing, its confirms, transactions. */
#include "tests/unit/rig.h"

#include <stdio.h>

#include "codec/properties.h"
#include "codec/table.h"

/* Starts a consumer whose tag is given; answers its number in the port. */
static uint32_t consume(struct rig *r, uint16_t channel, const char *tag, bool no_ack)
{
    struct basic_consume consume = {
        .id = METHOD_basic_consume, .queue = BYTES("q"), .consumer_tag = bytes_of_string(tag), .no_ack = no_ack};
    rig_send(r, channel, &(union method){.basic_consume = consume});
    struct command c = rig_command(r, SUBSCRIBE);
    uint32_t number = c.subscribe.consumer;
    rig_done(r, &c);
    rig_expect(r, channel, METHOD_basic_consume_ok, NULL);
    return number;
}

static void ack(struct rig *r, uint64_t tag, bool multiple)
{
    struct basic_ack ack = {.id = METHOD_basic_ack, .delivery_tag = tag, .multiple = multiple};
    rig_send(r, 1, &(union method){.basic_ack = ack});
}

/* Properties with the given flags that some test filled in. */
static struct bytes encoded(const struct properties *props, uint8_t room[512])
{
    struct pen p = pen_over(room, 512);
    properties_encode(&p, props);
    assert_false(p.full);
    return pen_written(&p);
}

/* ---- Publishing. */

TEST(a_publish_is_one_message)
{
    struct rig *r = rig_open();
    struct properties props = {
        .flags = PROPERTY_delivery_mode | PROPERTY_priority | PROPERTY_expiration | PROPERTY_headers,
        .delivery_mode = 2,
        .priority = 7,
        .expiration = BYTES("+60"),
    };
    uint8_t room[512];
    struct basic_publish publish = {.id = METHOD_basic_publish,
                                    .exchange = BYTES("x"),
                                    .routing_key = BYTES("\xFF\xFE"), /* not checked to be UTF-8 */
                                    .mandatory = true};
    rig_send(r, 1, &(union method){.basic_publish = publish});
    rig_header(r, 1, 6, encoded(&props, room));
    rig_frame(r, FRAME_BODY, 1, BYTES("ab"));
    rig_frame(r, FRAME_BODY, 1, BYTES(""));
    rig_expect_no_command(r);
    rig_frame(r, FRAME_BODY, 1, BYTES("cdef"));
    struct command c = rig_command(r, PUBLISH);
    const struct message *m = c.publish.msg;
    assert_true(c.publish.mandatory && !c.publish.confirm && !c.publish.hold);
    assert_null(c.publish.objection);
    assert_true(bytes_equal(message_exchange(m), BYTES("x")));
    assert_true(bytes_equal(message_key(m), BYTES("\xFF\xFE")));
    assert_true(bytes_equal(message_properties(m), encoded(&props, room)));
    assert_true(bytes_equal(message_body(m, 0), BYTES("abcdef")));
    assert_int_equal(m->flags & ~MESSAGE_IS_RARE, MESSAGE_PERSISTENT | MESSAGE_HAS_HEADERS);
    assert_int_equal(m->priority, 7);
    assert_int_equal(message_expiration_ms(m), 60);
    command_drop(&c);
    rig_destroy(r);
}

TEST(contents_of_several_channels_may_interleave)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 2, METHOD_channel_open);
    for (uint16_t n = 1; n <= 2; n++)
        rig_send_bare(r, n, METHOD_basic_publish);
    for (uint16_t n = 1; n <= 2; n++)
        rig_header(r, n, 2, rig_no_properties());
    rig_frame(r, FRAME_BODY, 2, BYTES("22"));
    rig_frame(r, FRAME_BODY, 1, BYTES("11"));
    for (unsigned n = 2; n >= 1; n--) {
        struct command c = rig_command(r, PUBLISH);
        assert_int_equal(message_body(c.publish.msg, 0).at[0], '0' + n);
        command_drop(&c);
    }
    rig_destroy(r);
}

TEST(expirations_are_read_as_erlang_reads_them)
{
    static const struct {
        const char *text, *why; /* NULL: accepted */
        uint64_t ms;
    } cases[] = {
        {"0", NULL, 0},
        {"007", NULL, 7},
        {"+5", NULL, 5},
        {"-0", NULL, 0},
        {"315360000000", NULL, 315360000000},
        {"000000315360000000", NULL, 315360000000},
        {"", "no_integer", 0},
        {"-", "no_integer", 0},
        {" 1", "no_integer", 0},
        {"abc", "no_integer", 0},
        {"1.5", "{leftover_string,\".5\"}", 0},
        {"10 ", "{leftover_string,\" \"}", 0},
        {"-7x", "{leftover_string,\"x\"}", 0},
        {"1\"2", "{leftover_string,\"\\\"2\"}", 0},
        {"-007", "{value_negative,-7}", 0},
        {"315360000001", "{value_too_large,315360000001}", 0},
        {"99999999999999999999999", "{value_too_large,99999999999999999999999}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_open();
        struct properties props = {.flags = PROPERTY_expiration, .expiration = bytes_of_string(cases[i].text)};
        uint8_t room[512];
        char expected[128];
        rig_publish(r, 1, "k", encoded(&props, room), "");
        struct command c = rig_command(r, PUBLISH);
        snprintf(expected, sizeof expected, "invalid expiration '%s': %s", cases[i].text, cases[i].why);
        if (cases[i].why == NULL) {
            assert_null(c.publish.objection);
            assert_int_equal(message_expiration_ms(c.publish.msg), cases[i].ms);
        } else {
            assert_string_equal(c.publish.objection, expected);
        }
        command_drop(&c);
        rig_destroy(r);
    }
}

TEST(a_claimed_user_must_be_the_one_who_logged_in)
{
    struct rig *r = rig_open();
    uint8_t room[512];
    struct properties props = {.flags = PROPERTY_user_id, .user_id = BYTES("guest")};
    rig_publish(r, 1, "k", encoded(&props, room), "");
    struct command c = rig_command(r, PUBLISH);
    assert_null(c.publish.objection);
    command_drop(&c);
    props.user_id = BYTES("joe");
    rig_publish(r, 1, "k", encoded(&props, room), "");
    c = rig_command(r, PUBLISH);
    assert_string_equal(c.publish.objection, "user_id property set to 'joe' but authenticated user was 'guest'");
    command_drop(&c);
    rig_destroy(r);
}

TEST(cc_and_bcc_are_more_keys_and_bcc_is_not_passed_on)
{
    struct rig *r = rig_open();
    uint8_t room[512], table[256];
    struct pen p = pen_over(table, sizeof table);
    struct field f;
    table_put_string(&p, BYTES("first"), BYTES("1"));
    uint8_t *mark = table_open(&p, BYTES("BCC"), 'A');
    table_put_string_in_array(&p, BYTES("secret"));
    table_close(&p, mark);
    mark = table_open(&p, BYTES("CC"), 'A');
    table_put_string_in_array(&p, BYTES("one"));
    pen_bytes(&p, BYTES("I\0\0\0\1")); /* ignored */
    table_put_string_in_array(&p, BYTES("two"));
    table_close(&p, mark);
    struct properties props = {
        .flags = PROPERTY_headers | PROPERTY_content_type, .headers = pen_written(&p), .content_type = BYTES("t")};
    rig_publish(r, 1, "k", encoded(&props, room), "body");
    struct command c = rig_command(r, PUBLISH);
    assert_null(c.publish.objection);
    assert_int_equal(message_cc_count(c.publish.msg), 2);
    assert_true(bytes_equal(message_extra_keys(c.publish.msg), BYTES("\0\0\0\3one\0\0\0\3two\0\0\0\6secret")));
    assert_true(properties_decode(message_properties(c.publish.msg), &props));
    assert_false(table_find(props.headers, BYTES("BCC"), &f));
    assert_true(table_find(props.headers, BYTES("CC"), &f));
    assert_true(table_find(props.headers, BYTES("first"), &f));
    assert_true(bytes_equal(props.content_type, BYTES("t")));
    assert_true(bytes_equal(message_body(c.publish.msg, 0), BYTES("body")));
    command_drop(&c);
    rig_destroy(r);
}

TEST(cc_must_be_an_array)
{
    struct rig *r = rig_open();
    uint8_t room[512], table[64];
    struct pen p = pen_over(table, sizeof table);
    table_put_string(&p, BYTES("CC"), BYTES("one"));
    struct properties props = {.flags = PROPERTY_headers, .headers = pen_written(&p)};
    rig_publish(r, 1, "k", encoded(&props, room), "");
    struct command c = rig_command(r, PUBLISH);
    assert_string_equal(c.publish.objection, "invalid message: {unacceptable_type_in_header,\"CC\",longstr}");
    command_drop(&c);
    rig_destroy(r);
}

TEST(immediate_is_not_implemented_whatever_else_is_wrong)
{
    struct rig *r = rig_open();
    struct basic_publish publish = {.id = METHOD_basic_publish, .immediate = true};
    rig_send(r, 1, &(union method){.basic_publish = publish});
    rig_header(r, 1, 3 << 20, BYTES("\x80\0"));
    for (unsigned i = 0; i < 30; i++) {
        static const uint8_t piece[(3 << 20) / 30 + 1];
        size_t left = (3 << 20) - i * sizeof piece;
        rig_expect_no_command(r);
        rig_frame(r, FRAME_BODY, 1, bytes_of(piece, left < sizeof piece ? left : sizeof piece));
    }
    rig_carry_out(r, RESET);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 540, "NOT_IMPLEMENTED - immediate=true", METHOD_basic_publish);
    rig_destroy(r);
}

TEST(a_message_that_is_too_large_is_swallowed_and_refused)
{
    struct rig *r = rig_open();
    static const uint8_t piece[1 << 16];
    rig_send_bare(r, 1, METHOD_basic_publish);
    rig_header(r, 1, (1 << 20) + 1, rig_no_properties());
    for (unsigned i = 0; i < 16; i++)
        rig_frame(r, FRAME_BODY, 1, bytes_of(piece, sizeof piece));
    rig_expect_no_command(r);
    rig_frame(r, FRAME_BODY, 1, bytes_of(piece, 1));
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 406, "PRECONDITION_FAILED - message size 1048577 is larger than configured max size 1048576",
                     METHOD_basic_publish);
    rig_destroy(r);
}

TEST(contents_must_be_whole)
{
    static const struct {
        uint64_t size;
        struct bytes header; /* what comes instead of one; empty: a good one */
        const char *body;
        unsigned code;
        const char *text;
    } cases[] = {
        {0,
         {(const uint8_t *)"\0\x32\0\0\0\0\0\0\0\0\0\1\0\0", 14},
         "",
         505,
         "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead"},
        {0,
         {(const uint8_t *)"\0\x3C\0\1\0\0\0\0\0\0\0\1\0\0", 14},
         "",
         505,
         "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead"},
        {0,
         {(const uint8_t *)"\0\x3C\0\0\0\0\0\0\x20\0\0\1\0\0", 14},
         "",
         501,
         "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912"},
        {3, {0}, "toolong", 501, "FRAME_ERROR - content body frame exceeds remaining content size"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_open();
        rig_send_bare(r, 1, METHOD_basic_publish);
        if (cases[i].header.len > 0)
            rig_frame(r, FRAME_HEADER, 1, cases[i].header);
        else
            rig_header(r, 1, cases[i].size, rig_no_properties());
        if (cases[i].body[0] != '\0')
            rig_frame(r, FRAME_BODY, 1, bytes_of_string(cases[i].body));
        rig_carry_out(r, DETACH);
        rig_expect_close(r, 0, cases[i].code, cases[i].text, METHOD_basic_publish);
        rig_destroy(r);
    }
}

TEST(properties_that_cannot_be_read_end_the_connection)
{
    struct rig *r = rig_open();
    rig_publish(r, 1, "k", BYTES("\x80\0\x05"), "body");
    rig_carry_out(r, RESET);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 501, "FRAME_ERROR - cannot decode properties of the content header", METHOD_basic_publish);
    rig_destroy(r);
}

TEST(a_publish_that_fails_is_reported_for_basic_publish)
{
    struct rig *r = rig_open();
    rig_publish(r, 1, "k", rig_no_properties(), "body");
    struct command c = rig_command(r, PUBLISH);
    rig_fail(r, &c, NO_SUCH_EXCHANGE, "no exchange 'x' in vhost '/'");
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 404, "NOT_FOUND - no exchange 'x' in vhost '/'", METHOD_basic_publish);
    rig_destroy(r);
}

/* ---- Confirms. */

TEST(confirms_are_gathered_over_a_turn)
{
    struct rig *r = rig_open();
    union method m;
    struct command c[4];
    rig_send_bare(r, 1, METHOD_confirm_select);
    rig_carry_out(r, ECHO);
    rig_expect(r, 1, METHOD_confirm_select_ok, NULL);
    for (unsigned i = 0; i < 4; i++) {
        rig_publish(r, 1, "k", rig_no_properties(), "");
        c[i] = rig_command(r, PUBLISH);
        assert_true(c[i].publish.confirm);
    }
    struct event first = {.what = CONFIRMED, .to = c[0].from, .cookie = c[0].cookie};
    struct event rest = {.what = CONFIRMED, .to = c[1].from, .cookie = c[1].cookie, .confirmed = {.more = 1}};
    session_event(r->session, &first, r->now);
    session_event(r->session, &rest, r->now); /* for two */
    rig_expect_nothing(r);
    rig_turn(r);
    rig_expect(r, 1, METHOD_basic_ack, &m);
    assert_int_equal(m.basic_ack.delivery_tag, 3);
    assert_true(m.basic_ack.multiple);
    rig_confirm(r, &c[3], REFUSED);
    rig_expect(r, 1, METHOD_basic_nack, &m);
    assert_int_equal(m.basic_nack.delivery_tag, 4);
    assert_true(m.basic_nack.requeue);
    for (unsigned i = 0; i < 4; i++)
        command_drop(&c[i]);
    rig_destroy(r);
}

TEST(a_return_comes_before_its_confirm)
{
    struct rig *r = rig_open();
    union method m;
    rig_send_bare(r, 1, METHOD_confirm_select);
    rig_carry_out(r, ECHO);
    rig_expect(r, 1, METHOD_confirm_select_ok, NULL);
    rig_publish(r, 1, "key", rig_no_properties(), "body");
    struct command c = rig_command(r, PUBLISH);
    struct event returned = {.what = RETURNED, .to = c.from};
    struct event confirmed = {.what = CONFIRMED, .to = c.from, .cookie = c.cookie};
    returned.delivered.msg = c.publish.msg;
    session_event(r->session, &returned, r->now);
    rig_event(r, &confirmed);
    rig_expect(r, 1, METHOD_basic_return, &m);
    assert_int_equal(m.basic_return.reply_code, 312);
    assert_true(bytes_equal(m.basic_return.reply_text, BYTES("NO_ROUTE")));
    assert_true(bytes_equal(m.basic_return.routing_key, BYTES("key")));
    rig_expect_content(r, 1, BYTES("body"));
    rig_expect(r, 1, METHOD_basic_ack, NULL);
    rig_destroy(r);
}

TEST(what_is_confirmed_is_said_before_the_channel_ends)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 1, METHOD_confirm_select);
    rig_carry_out(r, ECHO);
    rig_expect(r, 1, METHOD_confirm_select_ok, NULL);
    rig_publish(r, 1, "k", rig_no_properties(), "");
    rig_publish(r, 1, "k", rig_no_properties(), "");
    struct command first = rig_command(r, PUBLISH), second = rig_command(r, PUBLISH);
    struct event confirmed = {.what = CONFIRMED, .to = first.from, .cookie = first.cookie};
    session_event(r->session, &confirmed, r->now);
    rig_fail(r, &second, NO_SUCH_EXCHANGE, "no exchange 'x' in vhost '/'");
    rig_carry_out(r, RESET);
    rig_expect(r, 1, METHOD_basic_ack, NULL);
    rig_expect(r, 1, METHOD_channel_close, NULL);
    rig_confirm(r, &first, CONFIRMED); /* late: nothing comes of it */
    rig_expect_nothing(r);
    command_drop(&first);
    rig_destroy(r);
}

/* ---- Transactions. */

static struct rig *transactional(void)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 1, METHOD_tx_select);
    rig_carry_out(r, ECHO);
    rig_expect(r, 1, METHOD_tx_select_ok, NULL);
    return r;
}

TEST(a_transaction_is_checked_now_and_done_at_commit)
{
    struct rig *r = transactional();
    uint32_t number = consume(r, 1, "tag", false);
    rig_deliver(r, 0, number, 9, rig_message(""));
    rig_carry_out(r, WINDOW);
    rig_publish(r, 1, "k", rig_no_properties(), "body");
    ack(r, 1, false);
    struct command check = rig_command(r, PUBLISH);
    assert_true(check.publish.hold);
    assert_false(check.publish.confirm);
    command_drop(&check);
    struct command hold = rig_command(r, SETTLE);
    assert_int_equal(hold.settle.ticket.slot, 9);
    assert_int_equal(hold.settle.outcome, HELD);
    rig_expect_no_command(r);
    rig_send_bare(r, 1, METHOD_tx_commit);
    struct command commit = rig_command(r, COMMIT);
    assert_int_equal(commit.tx->n, 2);
    assert_int_equal(commit.tx->commands[0].verb, PUBLISH);
    assert_true(bytes_equal(message_body(commit.tx->commands[0].publish.msg, 0), BYTES("body")));
    assert_int_equal(commit.tx->commands[1].verb, SETTLE);
    assert_int_equal(commit.tx->commands[1].settle.ticket.slot, 9);
    rig_done(r, &commit);
    rig_destroy(r);
}

TEST(a_rollback_forgets_publishes_and_gives_tags_back)
{
    struct rig *r = transactional();
    uint32_t number = consume(r, 1, "tag", false);
    rig_deliver(r, 0, number, 9, rig_message(""));
    rig_carry_out(r, WINDOW);
    rig_publish(r, 1, "k", rig_no_properties(), "body");
    struct command check = rig_command(r, PUBLISH);
    command_drop(&check);
    ack(r, 1, false);
    assert_int_equal(rig_command(r, SETTLE).settle.outcome, HELD);
    rig_send_bare(r, 1, METHOD_tx_rollback);
    rig_carry_out(r, ROLLBACK);
    ack(r, 1, false);
    assert_int_equal(rig_command(r, SETTLE).settle.outcome, HELD);
    rig_send_bare(r, 1, METHOD_tx_commit);
    struct command commit = rig_command(r, COMMIT);
    assert_int_equal(commit.tx->n, 1);
    assert_int_equal(commit.tx->commands[0].verb, SETTLE);
    rig_done(r, &commit);
    rig_destroy(r);
}

TEST(a_commit_that_was_refused_ends_the_channel)
{
    struct rig *r = transactional();
    rig_send_bare(r, 1, METHOD_tx_commit);
    struct command commit = rig_command(r, COMMIT);
    rig_fail(r, &commit, TX_REFUSED, "partial tx completion");
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 406, "PRECONDITION_FAILED - partial tx completion", METHOD_tx_commit);
    rig_destroy(r);
}

TEST(transactions_and_confirms_exclude_each_other)
{
    struct rig *r = transactional();
    rig_send_bare(r, 1, METHOD_confirm_select);
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode", METHOD_confirm_select);
    rig_destroy(r);
    r = rig_open();
    rig_send_bare(r, 1, METHOD_confirm_select);
    rig_send_bare(r, 1, METHOD_tx_select);
    rig_carry_out(r, ECHO);
    rig_expect(r, 1, METHOD_confirm_select_ok, NULL);
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode", METHOD_tx_select);
    rig_destroy(r);
}

TEST(a_transaction_has_a_limit)
{
    struct rig *r = transactional();
    static const uint8_t piece[1 << 17];
    unsigned published = 0;
    for (;; published++) {
        rig_send_bare(r, 1, METHOD_basic_publish);
        rig_header(r, 1, 1 << 20, rig_no_properties());
        for (unsigned i = 0; i < 8; i++)
            rig_frame(r, FRAME_BODY, 1, bytes_of(piece, sizeof piece));
        struct command c = r->commands[r->first++];
        assert_int_equal(c.verb, PUBLISH);
        command_drop(&c);
        if (r->first < r->last)
            break;
    }
    assert_in_range(published, 254, 256);
    rig_carry_out(r, RESET);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 506, "RESOURCE_ERROR - transactions of this connection hold more than 268435456 bytes",
                     METHOD_basic_publish);
    rig_destroy(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_is_one_message),
        cmocka_unit_test(contents_of_several_channels_may_interleave),
        cmocka_unit_test(expirations_are_read_as_erlang_reads_them),
        cmocka_unit_test(a_claimed_user_must_be_the_one_who_logged_in),
        cmocka_unit_test(cc_and_bcc_are_more_keys_and_bcc_is_not_passed_on),
        cmocka_unit_test(cc_must_be_an_array),
        cmocka_unit_test(immediate_is_not_implemented_whatever_else_is_wrong),
        cmocka_unit_test(a_message_that_is_too_large_is_swallowed_and_refused),
        cmocka_unit_test(contents_must_be_whole),
        cmocka_unit_test(properties_that_cannot_be_read_end_the_connection),
        cmocka_unit_test(a_publish_that_fails_is_reported_for_basic_publish),
        cmocka_unit_test(confirms_are_gathered_over_a_turn),
        cmocka_unit_test(a_return_comes_before_its_confirm),
        cmocka_unit_test(what_is_confirmed_is_said_before_the_channel_ends),
        cmocka_unit_test(a_transaction_is_checked_now_and_done_at_commit),
        cmocka_unit_test(a_rollback_forgets_publishes_and_gives_tags_back),
        cmocka_unit_test(a_commit_that_was_refused_ends_the_channel),
        cmocka_unit_test(transactions_and_confirms_exclude_each_other),
        cmocka_unit_test(a_transaction_has_a_limit),
    };
    return unit_main("amqp/session: publishing", tests, argc, argv);
}
