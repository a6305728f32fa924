/* Channels: their life, the order of answers and errors, and what becomes of declarations. */
#include "tests/unit/rig.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "codec/table.h"

static void ask(struct rig *r, uint16_t channel)
{
    rig_send_bare(r, channel, METHOD_access_request);
}

static void purge(struct rig *r, uint16_t channel, const char *queue)
{
    struct queue_purge purge = {.id = METHOD_queue_purge, .queue = bytes_of_string(queue)};
    rig_send(r, channel, &(union method){.queue_purge = purge});
}

static void declare(struct rig *r, const char *queue, struct bytes arguments)
{
    struct queue_declare declare = {
        .id = METHOD_queue_declare, .queue = bytes_of_string(queue), .arguments = arguments};
    rig_send(r, 1, &(union method){.queue_declare = declare});
}

/* The client asks for a queue that is not there. */
static void fail_channel(struct rig *r, uint16_t channel)
{
    purge(r, channel, "nope");
    struct command c = rig_command(r, PURGE_QUEUE);
    rig_fail(r, &c, NO_SUCH_QUEUE, "no queue 'nope' in vhost '/'");
}

#define NO_QUEUE "NOT_FOUND - no queue 'nope' in vhost '/'"

/* ---- Opening and closing. */

TEST(a_channel_is_closed_when_the_model_has_let_go)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 1, METHOD_channel_close);
    rig_expect_nothing(r);
    rig_carry_out(r, RESET);
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_destroy(r);
}

TEST(a_number_may_be_used_again_in_the_same_breath)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 1, METHOD_channel_close);
    rig_send_bare(r, 1, METHOD_channel_open);
    ask(r, 1);
    rig_expect_nothing(r); /* open-ok must not overtake close-ok */
    struct command reset = rig_command(r, RESET), opened = rig_command(r, ECHO), asked = rig_command(r, ECHO);
    assert_int_not_equal(reset.from.stream, opened.from.stream);
    assert_int_equal(asked.from.stream, opened.from.stream);
    rig_done(r, &reset);
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_done(r, &opened);
    rig_expect(r, 1, METHOD_channel_open_ok, NULL);
    rig_done(r, &asked);
    rig_expect(r, 1, METHOD_access_request_ok, NULL);
    rig_destroy(r);
}

TEST(a_stream_is_used_again_only_when_it_was_reset)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 1, METHOD_channel_close);
    struct command reset = rig_command(r, RESET);
    rig_send_bare(r, 2, METHOD_channel_open);
    ask(r, 2);
    struct command asked = rig_command(r, ECHO);
    assert_int_not_equal(asked.from.stream, reset.from.stream);
    rig_done(r, &reset);
    rig_done(r, &asked);
    rig_send_bare(r, 3, METHOD_channel_open);
    ask(r, 3);
    asked = rig_command(r, ECHO);
    assert_int_equal(asked.from.stream, reset.from.stream);
    rig_done(r, &asked);
    rig_destroy(r);
}

TEST(an_answer_that_outlived_its_stream_answers_nobody)
{
    struct rig *r = rig_open();
    ask(r, 1);
    rig_send_bare(r, 1, METHOD_channel_close);
    struct command late = rig_command(r, ECHO);
    rig_carry_out(r, RESET);
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_send_bare(r, 2, METHOD_channel_open);
    rig_expect(r, 2, METHOD_channel_open_ok, NULL);
    ask(r, 2);
    struct command c = rig_command(r, ECHO);
    assert_int_equal(c.from.stream, late.from.stream);
    rig_done(r, &late);
    rig_expect_nothing(r);
    rig_done(r, &c);
    rig_expect(r, 2, METHOD_access_request_ok, NULL);
    rig_destroy(r);
}

TEST(the_number_of_open_channels_is_limited_not_the_numbers)
{
    struct rig *r = rig_greet(RIG_PLAIN);
    struct connection_tune_ok tune = {.id = METHOD_connection_tune_ok, .channel_max = 2, .frame_max = 4096};
    rig_send(r, 0, &(union method){.connection_tune_ok = tune});
    rig_send_bare(r, 0, METHOD_connection_open);
    rig_carry_out(r, ATTACH);
    rig_expect(r, 0, METHOD_connection_open_ok, NULL);
    rig_send_bare(r, 65535, METHOD_channel_open);
    rig_expect(r, 65535, METHOD_channel_open_ok, NULL);
    rig_send_bare(r, 7, METHOD_channel_open);
    rig_expect(r, 7, METHOD_channel_open_ok, NULL);
    rig_send_bare(r, 1, METHOD_channel_open);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 530,
                     "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)", 0);
    rig_destroy(r);
}

TEST(a_channel_is_opened_once)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 1, METHOD_channel_open);
    rig_carry_out(r, RESET);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 504, "CHANNEL_ERROR - second 'channel.open' seen", METHOD_channel_open);
    rig_destroy(r);
}

TEST(late_acknowledgements_on_a_closed_channel_are_forgiven)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 1, METHOD_channel_close);
    rig_carry_out(r, RESET);
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_send_bare(r, 1, METHOD_basic_ack);
    rig_send_bare(r, 1, METHOD_basic_nack);
    rig_send_bare(r, 1, METHOD_basic_reject);
    rig_expect_nothing(r);
    rig_expect_no_command(r);
    rig_send_bare(r, 2, METHOD_basic_ack); /* never open */
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 504, "CHANNEL_ERROR - expected 'channel.open'", METHOD_basic_ack);
    rig_destroy(r);
}

TEST(two_thousand_channels_are_no_matter)
{
    struct rig *r = rig_open();
    for (uint16_t n = 2; n <= 2000; n++) {
        rig_send_bare(r, n, METHOD_channel_open);
        rig_expect(r, n, METHOD_channel_open_ok, NULL);
    }
    for (uint16_t n = 1; n <= 2000; n++) {
        rig_send_bare(r, n, METHOD_channel_close);
        rig_carry_out(r, RESET);
        rig_expect(r, n, METHOD_channel_close_ok, NULL);
    }
    rig_destroy(r);
}

/* ---- Exceptions. */

TEST(the_model_lets_go_before_an_exception_is_reported)
{
    struct rig *r = rig_open();
    fail_channel(r, 1);
    rig_expect_nothing(r);
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 404, NO_QUEUE, METHOD_queue_purge);
    rig_destroy(r);
}

TEST(a_channel_that_is_closing_ignores_all_but_its_end)
{
    struct rig *r = rig_open();
    fail_channel(r, 1);
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 404, NO_QUEUE, METHOD_queue_purge);
    purge(r, 1, "other");
    rig_publish(r, 1, "key", rig_no_properties(), "body");
    rig_send_bare(r, 1, METHOD_channel_flow); /* which would be an exception on an open channel */
    rig_expect_no_command(r);
    rig_expect_nothing(r);
    rig_send_bare(r, 1, METHOD_channel_close); /* both at once: it stays closing */
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_send_bare(r, 1, METHOD_channel_close_ok);
    rig_send_bare(r, 1, METHOD_channel_open);
    rig_expect(r, 1, METHOD_channel_open_ok, NULL);
    rig_destroy(r);
}

TEST(framing_is_enforced_on_a_closing_channel)
{
    struct rig *r = rig_open();
    fail_channel(r, 1);
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 404, NO_QUEUE, METHOD_queue_purge);
    rig_send_bare(r, 1, METHOD_basic_publish);
    rig_send_bare(r, 1, METHOD_channel_close_ok);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 505,
                     "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
                     METHOD_basic_publish);
    rig_destroy(r);
}

TEST(the_first_mistake_is_the_one_reported)
{
    struct rig *r = rig_open();
    purge(r, 1, "nope");
    rig_send_bare(r, 1, METHOD_basic_ack); /* our own discovery … */
    struct command c = rig_command(r, PURGE_QUEUE), reset = rig_command(r, RESET);
    rig_fail(r, &c, NO_SUCH_QUEUE, "no queue 'nope' in vhost '/'"); /* … is about something later */
    rig_done(r, &reset);
    rig_expect_close(r, 1, 404, NO_QUEUE, METHOD_queue_purge);
    rig_destroy(r);
}

TEST(a_mistake_that_ends_the_connection_waits_for_what_was_asked_before)
{
    struct rig *r = rig_open();
    struct basic_qos qos = {.id = METHOD_basic_qos, .prefetch_size = 5};
    purge(r, 1, "nope");
    rig_send(r, 1, &(union method){.basic_qos = qos});
    struct command c = rig_command(r, PURGE_QUEUE), reset = rig_command(r, RESET);
    rig_fail(r, &c, NO_SUCH_QUEUE, "no queue 'nope' in vhost '/'");
    rig_done(r, &reset);
    rig_expect_close(r, 1, 404, NO_QUEUE, METHOD_queue_purge);
    rig_send_bare(r, 2, METHOD_channel_open); /* the connection lives */
    rig_expect(r, 2, METHOD_channel_open_ok, NULL);

    rig_send(r, 2, &(union method){.basic_qos = qos});
    rig_carry_out(r, RESET);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 540, "NOT_IMPLEMENTED - prefetch_size!=0 (5)", METHOD_basic_qos);
    rig_destroy(r);
}

TEST(what_was_asked_before_a_mistake_is_answered_before_it_is_reported)
{
    struct rig *r = rig_open();
    purge(r, 1, "there");
    rig_send_bare(r, 1, METHOD_basic_ack);
    rig_carry_out(r, PURGE_QUEUE);
    rig_expect(r, 1, METHOD_queue_purge_ok, NULL);
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 406, "PRECONDITION_FAILED - unknown delivery tag 0", METHOD_basic_ack);
    rig_destroy(r);
}

TEST(a_client_that_closes_a_channel_which_had_failed_is_told_why)
{
    struct rig *r = rig_open();
    purge(r, 1, "nope");
    rig_send_bare(r, 1, METHOD_channel_close);
    struct command c = rig_command(r, PURGE_QUEUE), reset = rig_command(r, RESET);
    rig_fail(r, &c, NO_SUCH_QUEUE, "no queue 'nope' in vhost '/'");
    rig_done(r, &reset);
    rig_expect_close(r, 1, 404, NO_QUEUE, METHOD_queue_purge);
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_send_bare(r, 1, METHOD_channel_close_ok);
    rig_send_bare(r, 1, METHOD_channel_open);
    rig_expect(r, 1, METHOD_channel_open_ok, NULL);
    rig_destroy(r);
}

TEST(a_client_that_closes_while_we_do_gets_both)
{
    struct rig *r = rig_open();
    fail_channel(r, 1);
    rig_send_bare(r, 1, METHOD_channel_close);
    rig_expect_nothing(r);
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 404, NO_QUEUE, METHOD_queue_purge);
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_destroy(r);
}

TEST(each_reason_has_its_code)
{
    static const struct {
        enum reason reason;
        unsigned code;
        const char *text;
    } cases[] = {
        {NO_SUCH_QUEUE, 404, "NOT_FOUND - x"},
        {NO_SUCH_EXCHANGE, 404, "NOT_FOUND - x"},
        {UNKNOWN_EXCHANGE_TYPE, 406, "PRECONDITION_FAILED - x"},
        {DIFFERS, 406, "PRECONDITION_FAILED - x"},
        {OBJECTION, 406, "PRECONDITION_FAILED - x"},
        {BAD_ARGUMENT, 406, "PRECONDITION_FAILED - x"},
        {LOCKED, 405, "RESOURCE_LOCKED - x"},
        {IN_USE, 406, "PRECONDITION_FAILED - x"},
        {NOT_EMPTY, 406, "PRECONDITION_FAILED - x"},
        {RESERVED, 403, "ACCESS_REFUSED - x"},
        {DENIED, 403, "ACCESS_REFUSED - x"},
        {TX_REFUSED, 406, "PRECONDITION_FAILED - x"},
        {TOO_MUCH, 406, "PRECONDITION_FAILED - x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_open();
        purge(r, 1, "q");
        struct command c = rig_command(r, PURGE_QUEUE);
        rig_fail(r, &c, cases[i].reason, "x");
        rig_carry_out(r, RESET);
        rig_expect_close(r, 1, cases[i].code, cases[i].text, METHOD_queue_purge);
        rig_destroy(r);
    }
}

TEST(a_long_text_ends_in_dots_between_characters)
{
    struct rig *r = rig_open();
    union method m;
    char text[400];
    memset(text, 'x', sizeof text);
    for (size_t i = 100; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA4", 2);
    text[sizeof text - 1] = '\0';
    purge(r, 1, "q");
    struct command c = rig_command(r, PURGE_QUEUE);
    rig_fail(r, &c, NO_SUCH_QUEUE, text);
    rig_carry_out(r, RESET);
    rig_expect(r, 1, METHOD_channel_close, &m);
    struct bytes reply = m.channel_close.reply_text;
    assert_in_range(reply.len, 254, 255);
    assert_memory_equal(reply.at + reply.len - 3, "...", 3);
    assert_true(utf8_check(reply));
    rig_destroy(r);
}

TEST(the_model_may_end_a_channel_by_itself)
{
    struct rig *r = rig_open();
    ask(r, 1);
    struct command c = rig_command(r, ECHO);
    struct command own = {.verb = SETTLE, .from = c.from};
    rig_fail(r, &own, BAD_ARGUMENT, "delivery acknowledgement on channel 1 timed out");
    rig_carry_out(r, RESET);
    rig_expect_close(r, 1, 406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", 0);
    command_drop(&c);
    rig_destroy(r);
}

/* ---- Declarations. */

TEST(a_queue_without_a_name_gets_one)
{
    struct rig *r = rig_open();
    union method m;
    declare(r, "\r\n", (struct bytes){0});
    struct command c = rig_command(r, DECLARE_QUEUE);
    assert_true(c.spec->server_named);
    assert_int_equal(c.spec->name.len, 30);
    rig_done(r, &c);
    rig_expect(r, 1, METHOD_queue_declare_ok, &m);
    assert_true(bytes_equal(m.queue_declare_ok.queue, BYTES("amq.gen-AQIDBAUGBwgJCgsMDQ4PEA")));
    rig_destroy(r);
}

TEST(no_name_means_the_queue_declared_last)
{
    struct rig *r = rig_open();
    struct queue_bind bind = {.id = METHOD_queue_bind, .exchange = BYTES("x\n")};
    declare(r, "a\r\nb", (struct bytes){0});
    rig_send(r, 1, &(union method){.queue_bind = bind});
    rig_send_bare(r, 1, METHOD_basic_get);
    struct command c = rig_command(r, DECLARE_QUEUE);
    assert_true(bytes_equal(c.spec->name, BYTES("ab")));
    command_drop(&c);
    c = rig_command(r, BIND);
    assert_true(bytes_equal(c.spec->name, BYTES("ab")));
    assert_true(bytes_equal(c.spec->key, BYTES("ab"))); /* no key either */
    assert_true(bytes_equal(c.spec->source, BYTES("x")));
    command_drop(&c);
    c = rig_command(r, GET);
    assert_true(bytes_equal(c.spec->name, BYTES("ab")));
    command_drop(&c);
    rig_destroy(r);
}

TEST(no_name_and_no_queue_declared_is_not_found)
{
    static const enum method_id methods[] = {METHOD_queue_bind,  METHOD_queue_unbind, METHOD_queue_delete,
                                             METHOD_queue_purge, METHOD_basic_get,    METHOD_basic_consume};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct rig *r = rig_open();
        rig_send_bare(r, 1, methods[i]);
        rig_carry_out(r, RESET);
        rig_expect_close(r, 1, 404, "NOT_FOUND - no previously declared queue", methods[i]);
        rig_destroy(r);
    }
}

TEST(an_objection_travels_with_the_declaration)
{
    struct rig *r = rig_open();
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    table_put_i32(&p, BYTES("x-expires"), 0);
    declare(r, "q", pen_written(&p));
    struct command c = rig_command(r, DECLARE_QUEUE);
    assert_true(
        bytes_equal(c.spec->objection, BYTES("invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}")));
    command_drop(&c);
    rig_destroy(r);
}

TEST(no_wait_is_not_answered)
{
    struct rig *r = rig_open();
    struct queue_declare declare = {.id = METHOD_queue_declare, .queue = BYTES("q"), .no_wait = true};
    struct confirm_select select = {.id = METHOD_confirm_select, .no_wait = true};
    rig_send(r, 1, &(union method){.queue_declare = declare});
    rig_send(r, 1, &(union method){.confirm_select = select});
    rig_carry_out(r, DECLARE_QUEUE);
    rig_carry_out(r, ECHO);
    rig_expect_nothing(r);
    rig_destroy(r);
}

TEST(each_method_is_answered_by_its_own)
{
    static const struct {
        enum method_id asked, ok;
        enum verb verb;
    } pairs[] = {
        {METHOD_exchange_declare, METHOD_exchange_declare_ok, DECLARE_EXCHANGE},
        {METHOD_exchange_delete, METHOD_exchange_delete_ok, DELETE_EXCHANGE},
        {METHOD_exchange_bind, METHOD_exchange_bind_ok, BIND},
        {METHOD_exchange_unbind, METHOD_exchange_unbind_ok, UNBIND},
        {METHOD_queue_declare, METHOD_queue_declare_ok, DECLARE_QUEUE},
        {METHOD_queue_bind, METHOD_queue_bind_ok, BIND},
        {METHOD_queue_unbind, METHOD_queue_unbind_ok, UNBIND},
        {METHOD_queue_purge, METHOD_queue_purge_ok, PURGE_QUEUE},
        {METHOD_queue_delete, METHOD_queue_delete_ok, DELETE_QUEUE},
        {METHOD_basic_qos, METHOD_basic_qos_ok, CREDIT},
        {METHOD_basic_consume, METHOD_basic_consume_ok, SUBSCRIBE},
        {METHOD_basic_cancel, METHOD_basic_cancel_ok, ECHO},
        {METHOD_basic_get, METHOD_basic_get_empty, GET},
        {METHOD_tx_select, METHOD_tx_select_ok, ECHO},
        {METHOD_tx_commit, METHOD_tx_commit_ok, COMMIT},
        {METHOD_tx_rollback, METHOD_tx_rollback_ok, ROLLBACK},
    };
    struct rig *r = rig_open();
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (i == 5) { /* bind and those after it mean the queue declared last */
            assert_int_equal(pairs[i - 1].asked, METHOD_queue_declare);
        }
        rig_send_bare(r, 1, pairs[i].asked);
        rig_carry_out(r, pairs[i].verb);
        rig_expect(r, 1, pairs[i].ok, NULL);
    }
    rig_destroy(r);
}

/* ---- Back-pressure. */

TEST(a_client_that_is_owed_too_many_answers_is_not_read)
{
    struct rig *r = rig_open();
    unsigned sent = 0;
    while (session_wants(r->session) & SESSION_READ) {
        ask(r, 1);
        sent++;
    }
    assert_int_equal(sent, SESSION_COMMANDS_MAX + 1);
    ask(r, 1);
    for (unsigned i = 0; i < sent; i++)
        rig_carry_out(r, ECHO);
    rig_expect_no_command(r);
    assert_true(session_wants(r->session) & SESSION_READ);
    rig_feed_again(r);
    rig_carry_out(r, ECHO);
    rig_destroy(r);
}

TEST(what_poison_swallowed_is_not_owed_for_ever)
{
    struct rig *r = rig_open();
    purge(r, 1, "nope");
    for (unsigned i = 0; i < SESSION_COMMANDS_MAX; i++)
        ask(r, 1);
    assert_false(session_wants(r->session) & SESSION_READ);
    struct command c = rig_command(r, PURGE_QUEUE);
    rig_fail(r, &c, NO_SUCH_QUEUE, "no queue 'nope' in vhost '/'");
    for (unsigned i = 0; i < SESSION_COMMANDS_MAX; i++) {
        c = rig_command(r, ECHO);
        command_drop(&c);
    }
    rig_carry_out(r, RESET);
    assert_true(session_wants(r->session) & SESSION_READ);
    rig_destroy(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_is_closed_when_the_model_has_let_go),
        cmocka_unit_test(a_number_may_be_used_again_in_the_same_breath),
        cmocka_unit_test(a_stream_is_used_again_only_when_it_was_reset),
        cmocka_unit_test(an_answer_that_outlived_its_stream_answers_nobody),
        cmocka_unit_test(the_number_of_open_channels_is_limited_not_the_numbers),
        cmocka_unit_test(a_channel_is_opened_once),
        cmocka_unit_test(late_acknowledgements_on_a_closed_channel_are_forgiven),
        cmocka_unit_test(two_thousand_channels_are_no_matter),
        cmocka_unit_test(the_model_lets_go_before_an_exception_is_reported),
        cmocka_unit_test(a_channel_that_is_closing_ignores_all_but_its_end),
        cmocka_unit_test(framing_is_enforced_on_a_closing_channel),
        cmocka_unit_test(the_first_mistake_is_the_one_reported),
        cmocka_unit_test(a_mistake_that_ends_the_connection_waits_for_what_was_asked_before),
        cmocka_unit_test(what_was_asked_before_a_mistake_is_answered_before_it_is_reported),
        cmocka_unit_test(a_client_that_closes_a_channel_which_had_failed_is_told_why),
        cmocka_unit_test(a_client_that_closes_while_we_do_gets_both),
        cmocka_unit_test(each_reason_has_its_code),
        cmocka_unit_test(a_long_text_ends_in_dots_between_characters),
        cmocka_unit_test(the_model_may_end_a_channel_by_itself),
        cmocka_unit_test(a_queue_without_a_name_gets_one),
        cmocka_unit_test(no_name_means_the_queue_declared_last),
        cmocka_unit_test(no_name_and_no_queue_declared_is_not_found),
        cmocka_unit_test(an_objection_travels_with_the_declaration),
        cmocka_unit_test(no_wait_is_not_answered),
        cmocka_unit_test(each_method_is_answered_by_its_own),
        cmocka_unit_test(a_client_that_is_owed_too_many_answers_is_not_read),
        cmocka_unit_test(what_poison_swallowed_is_not_owed_for_ever),
    };
    return unit_main("amqp/session: channels", tests, argc, argv);
}
