/* Messages that go out: deliveries, the window, consumers, and how deliveries are settled. */
#include "tests/unit/rig.h"

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

static void expect_settled(struct rig *r, uint32_t slot, enum outcome outcome)
{
    struct command c = rig_command(r, SETTLE);
    assert_int_equal(c.settle.ticket.slot, slot);
    assert_int_equal(c.settle.outcome, outcome);
}

static void cancel(struct rig *r, const char *tag)
{
    struct basic_cancel cancel = {.id = METHOD_basic_cancel, .consumer_tag = bytes_of_string(tag)};
    rig_send(r, 1, &(union method){.basic_cancel = cancel});
}

/* ---- Deliveries. */

TEST(a_delivery_bears_its_consumers_tag_and_the_next_number)
{
    struct rig *r = rig_open();
    union method m;
    uint32_t number = consume(r, 1, "tag", false);
    for (uint64_t i = 1; i <= 3; i++) {
        rig_deliver(r, 0, number, (uint32_t)i, rig_message("body"));
        rig_expect(r, 1, METHOD_basic_deliver, &m);
        assert_true(bytes_equal(m.basic_deliver.consumer_tag, BYTES("tag")));
        assert_true(bytes_equal(m.basic_deliver.routing_key, BYTES("key")));
        assert_int_equal(m.basic_deliver.delivery_tag, i);
        rig_expect_content(r, 1, BYTES("body"));
    }
    rig_destroy(r);
}

TEST(a_body_is_cut_to_the_clients_frames_and_comes_out_whole)
{
    static const size_t sizes[] = {0,    1,    4087, 4088,   4089,   4096,   4097,
                                   8176, 8177, 9000, 131072, 131073, 400000, 700000};
    struct rig *r = rig_open_with(RIG_PLAIN, 4096);
    uint32_t number = consume(r, 1, "tag", true);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *body = malloc(sizes[i] + 1);
        for (size_t n = 0; n < sizes[i]; n++)
            body[n] = (uint8_t)(n * 13 + n / 251);
        struct message *msg =
            message_create(&(struct message_spec){.properties = rig_no_properties(), .body_size = sizes[i]});
        message_fill(msg, bytes_of(body, sizes[i]));
        rig_deliver(r, 0, number, 1, msg);
        rig_expect(r, 1, METHOD_basic_deliver, NULL);
        rig_expect_content(r, 1, bytes_of(body, sizes[i]));
        rig_expect_nothing(r);
        free(body);
    }
    rig_destroy(r);
}

TEST(what_was_written_is_given_back_to_the_window)
{
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, "tag", true);
    struct message *msg = rig_message("body");
    uint64_t cost = message_window_cost(msg);
    rig_deliver(r, 0, number, 1, msg);
    struct command c = rig_command(r, WINDOW);
    assert_int_equal(c.window.bytes, cost);
    rig_expect_no_command(r);
    rig_destroy(r);
}

TEST(what_waits_in_the_output_is_not_given_back_yet)
{
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, "tag", true);
    struct event e = {.what = DELIVERED, .to = {.stream = 0}};
    e.delivered.msg = rig_message("body");
    e.delivered.consumer = number;
    session_event(r->session, &e, r->now);
    session_turn(r->session);
    rig_expect_no_command(r);
    rig_turn(r);
    struct command c = rig_command(r, WINDOW);
    assert_true(c.window.bytes > 0);
    rig_destroy(r);
}

TEST(a_delivery_to_a_channel_that_is_ending_is_dropped_and_given_back)
{
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, "tag", false);
    rig_send_bare(r, 1, METHOD_channel_close);
    struct command reset = rig_command(r, RESET);
    rig_deliver(r, 0, number, 1, rig_message("body"));
    rig_expect_nothing(r);
    struct command c = rig_command(r, WINDOW);
    assert_true(c.window.bytes > 0);
    rig_done(r, &reset);
    rig_expect(r, 1, METHOD_channel_close_ok, NULL);
    rig_destroy(r);
}

TEST(a_client_that_does_not_take_its_output_is_not_read)
{
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, "tag", true);
    struct message *msg =
        message_create(&(struct message_spec){.properties = rig_no_properties(), .body_size = SESSION_OUTPUT_MAX / 2});
    uint8_t *body = calloc(1, SESSION_OUTPUT_MAX / 2);
    message_fill(msg, bytes_of(body, SESSION_OUTPUT_MAX / 2));
    for (unsigned i = 0; i < 2; i++) {
        struct event e = {.what = DELIVERED};
        assert_true(session_wants(r->session) & SESSION_READ);
        e.delivered.msg = message_ref(msg);
        e.delivered.consumer = number;
        session_event(r->session, &e, r->now);
    }
    assert_int_equal(session_wants(r->session), SESSION_WRITE);
    rig_turn(r);
    assert_int_equal(session_wants(r->session), SESSION_READ);
    message_unref(msg);
    free(body);
    rig_destroy(r);
}

TEST(get_answers_with_a_message_that_may_be_settled)
{
    struct rig *r = rig_open();
    union method m;
    struct basic_get get = {.id = METHOD_basic_get, .queue = BYTES("q")};
    rig_send(r, 1, &(union method){.basic_get = get});
    struct command c = rig_command(r, GET);
    struct event e = {.what = GOT, .verb = GET, .to = c.from, .cookie = c.cookie};
    e.delivered.msg = rig_message("body");
    e.delivered.ticket = (ticket){.slot = 77};
    e.delivered.messages = 5;
    e.delivered.redelivered = true;
    command_drop(&c);
    rig_event(r, &e);
    rig_expect(r, 1, METHOD_basic_get_ok, &m);
    assert_int_equal(m.basic_get_ok.message_count, 5);
    assert_int_equal(m.basic_get_ok.delivery_tag, 1);
    assert_true(m.basic_get_ok.redelivered);
    rig_expect_content(r, 1, BYTES("body"));
    rig_expect_no_command(r); /* get takes nothing of the window */
    ack(r, 1, false);
    expect_settled(r, 77, ACCEPTED);
    rig_destroy(r);
}

/* ---- Consumers. */

TEST(a_live_tag_is_used_once_a_channel)
{
    struct rig *r = rig_open();
    struct basic_consume again = {.id = METHOD_basic_consume, .queue = BYTES("q"), .consumer_tag = BYTES("tag")};
    uint32_t number = consume(r, 1, "tag", true);
    rig_send_bare(r, 2, METHOD_channel_open);
    rig_expect(r, 2, METHOD_channel_open_ok, NULL);
    assert_int_not_equal(consume(r, 2, "tag", true), number);
    rig_send(r, 1, &(union method){.basic_consume = again});
    rig_carry_out(r, RESET);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 530, "NOT_ALLOWED - attempt to reuse consumer tag 'tag'", METHOD_basic_consume);
    rig_destroy(r);
}

TEST(a_cancelled_tag_is_free_at_once_its_number_later)
{
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, "tag", true);
    cancel(r, "tag");
    struct command leave = rig_command(r, UNSUBSCRIBE);
    assert_int_equal(leave.subscribe.consumer, number);
    assert_int_not_equal(consume(r, 1, "tag", true), number);
    rig_deliver(r, 0, number, 1, rig_message("late"));
    rig_expect(r, 1, METHOD_basic_deliver, NULL);
    rig_expect_content(r, 1, BYTES("late"));
    rig_carry_out(r, WINDOW);
    rig_done(r, &leave);
    rig_expect(r, 1, METHOD_basic_cancel_ok, NULL);
    assert_int_equal(consume(r, 1, "other", true), number);
    rig_destroy(r);
}

TEST(consume_and_cancel_in_one_breath_are_both_answered)
{
    struct rig *r = rig_open();
    struct basic_consume consume = {.id = METHOD_basic_consume, .queue = BYTES("q"), .consumer_tag = BYTES("tag")};
    rig_send(r, 1, &(union method){.basic_consume = consume});
    cancel(r, "tag");
    rig_carry_out(r, SUBSCRIBE);
    rig_expect(r, 1, METHOD_basic_consume_ok, NULL);
    rig_carry_out(r, UNSUBSCRIBE);
    rig_expect(r, 1, METHOD_basic_cancel_ok, NULL);
    rig_destroy(r);
}

TEST(a_consumer_that_lost_its_queue_is_told_if_it_wants_to_be)
{
    for (unsigned capable = 0; capable < 2; capable++) {
        struct rig *r = rig_open_with(capable ? RIG_CAPABLE : RIG_PLAIN, 131072);
        union method m;
        uint32_t number = consume(r, 1, "tag", true);
        struct event e = {.what = CANCELLED, .cancelled = {.consumer = number}};
        rig_event(r, &e);
        if (capable) {
            rig_expect(r, 1, METHOD_basic_cancel, &m);
            assert_true(bytes_equal(m.basic_cancel.consumer_tag, BYTES("tag")));
            assert_true(m.basic_cancel.no_wait);
        }
        rig_expect_nothing(r);
        rig_send_bare(r, 1, METHOD_basic_cancel_ok); /* some clients answer */
        assert_int_equal(consume(r, 1, "tag", true), number);
        rig_destroy(r);
    }
}

TEST(a_queue_that_goes_while_its_consumer_is_cancelled_is_not_mentioned)
{
    struct rig *r = rig_open_with(RIG_CAPABLE, 131072);
    uint32_t number = consume(r, 1, "tag", true);
    cancel(r, "tag");
    struct command leave = rig_command(r, UNSUBSCRIBE);
    struct event e = {.what = CANCELLED, .cancelled = {.consumer = number}};
    rig_event(r, &e);
    rig_expect_nothing(r);
    assert_int_not_equal(consume(r, 1, "tag", true), number); /* UNSUBSCRIBE would hit another */
    rig_done(r, &leave);
    rig_expect(r, 1, METHOD_basic_cancel_ok, NULL);
    rig_destroy(r);
}

TEST(prefetch_is_for_consumers_to_come_or_for_the_channel)
{
    struct rig *r = rig_open();
    struct basic_qos qos = {.id = METHOD_basic_qos, .prefetch_count = 5};
    rig_send(r, 1, &(union method){.basic_qos = qos});
    struct command c = rig_command(r, CREDIT);
    assert_int_equal(c.credit.limit, 0);
    rig_done(r, &c);
    rig_expect(r, 1, METHOD_basic_qos_ok, NULL);
    qos.global = true;
    qos.prefetch_count = 9;
    rig_send(r, 1, &(union method){.basic_qos = qos});
    c = rig_command(r, CREDIT);
    assert_int_equal(c.credit.limit, 9);
    rig_done(r, &c);
    struct basic_consume consume = {.id = METHOD_basic_consume, .queue = BYTES("q")};
    rig_send(r, 1, &(union method){.basic_consume = consume});
    c = rig_command(r, SUBSCRIBE);
    assert_int_equal(c.subscribe.limit, 5);
    rig_done(r, &c);
    rig_destroy(r);
}

/* ---- Settling. */

TEST(tags_are_settled_in_order_and_as_asked)
{
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, "tag", false);
    for (uint32_t i = 1; i <= 6; i++)
        rig_deliver(r, 0, number, 10 + i, rig_message(""));
    for (uint32_t i = 1; i <= 6; i++)
        rig_carry_out(r, WINDOW);
    struct basic_reject reject = {.id = METHOD_basic_reject, .delivery_tag = 2};
    struct basic_nack nack = {.id = METHOD_basic_nack, .delivery_tag = 4, .multiple = true, .requeue = true};
    rig_send(r, 1, &(union method){.basic_reject = reject});
    expect_settled(r, 12, REJECTED);
    rig_send(r, 1, &(union method){.basic_nack = nack});
    expect_settled(r, 11, HANDED_BACK);
    expect_settled(r, 13, HANDED_BACK);
    expect_settled(r, 14, HANDED_BACK);
    ack(r, 0, true);
    expect_settled(r, 15, ACCEPTED);
    expect_settled(r, 16, ACCEPTED);
    ack(r, 6, false);
    rig_carry_out(r, RESET);
    while (r->out_len > 0) {
        struct frame f;
        assert_true(rig_next(r, &f));
        if (f.type != FRAME_METHOD || r->out_len > 0)
            continue;
        union method m;
        assert_int_equal(method_decode(f.payload, &m), METHOD_OK);
        assert_true(bytes_equal(m.channel_close.reply_text, BYTES("PRECONDITION_FAILED - unknown delivery tag 6")));
    }
    rig_destroy(r);
}

TEST(what_is_settled_together_is_told_together)
{
    enum { DELIVERIES = 100, COMMANDS = (DELIVERIES + SETTLE_MORE_MAX) / (1 + SETTLE_MORE_MAX) };
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, "tag", false);
    for (uint32_t i = 1; i <= DELIVERIES; i++) {
        rig_deliver(r, 0, number, i, rig_message(""));
        rig_command(r, WINDOW);
    }
    ack(r, DELIVERIES, true);
    for (uint32_t i = 1; i <= DELIVERIES; i++)
        expect_settled(r, i, ACCEPTED);
    rig_expect_no_command(r);
    assert_int_equal(r->settles, COMMANDS);
    rig_destroy(r);
}

TEST(acks_in_a_row_are_told_together_up_to_one_that_is_unknown)
{
    static const uint64_t tags[] = {2, 1, 3, 7, 4};
    uint8_t room[256];
    struct rig *r = rig_open();
    struct pen p = pen_over(room, sizeof room);
    uint32_t number = consume(r, 1, "tag", false);
    for (uint32_t i = 1; i <= 4; i++) {
        rig_deliver(r, 0, number, i, rig_message(""));
        rig_command(r, WINDOW);
    }
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        struct basic_ack ack = {.id = METHOD_basic_ack, .delivery_tag = tags[i]};
        uint8_t *mark = frame_open(&p, FRAME_METHOD, 1);
        method_encode(&p, &(union method){.basic_ack = ack});
        frame_close(&p, mark);
    }
    rig_bytes(r, pen_written(&p));
    expect_settled(r, 2, ACCEPTED);
    expect_settled(r, 1, ACCEPTED);
    expect_settled(r, 3, ACCEPTED);
    assert_int_equal(r->settles, 1);
    rig_carry_out(r, RESET);
    rig_expect_no_command(r); /* the fourth was behind the exception */
    rig_destroy(r);
}

TEST(recovered_deliveries_are_unknown)
{
    struct rig *r = rig_open();
    struct basic_recover recover = {.id = METHOD_basic_recover, .requeue = true};
    uint32_t number = consume(r, 1, "tag", false);
    rig_deliver(r, 0, number, 1, rig_message(""));
    rig_carry_out(r, WINDOW);
    rig_send(r, 1, &(union method){.basic_recover = recover});
    struct command c = rig_command(r, RECOVER);
    rig_deliver(r, 0, number, 2, rig_message("")); /* it was under way */
    rig_carry_out(r, WINDOW);
    rig_done(r, &c);
    ack(r, 2, false);
    rig_carry_out(r, RESET);
    rig_destroy(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delivery_bears_its_consumers_tag_and_the_next_number),
        cmocka_unit_test(a_body_is_cut_to_the_clients_frames_and_comes_out_whole),
        cmocka_unit_test(what_was_written_is_given_back_to_the_window),
        cmocka_unit_test(what_waits_in_the_output_is_not_given_back_yet),
        cmocka_unit_test(a_delivery_to_a_channel_that_is_ending_is_dropped_and_given_back),
        cmocka_unit_test(a_client_that_does_not_take_its_output_is_not_read),
        cmocka_unit_test(get_answers_with_a_message_that_may_be_settled),
        cmocka_unit_test(a_live_tag_is_used_once_a_channel),
        cmocka_unit_test(a_cancelled_tag_is_free_at_once_its_number_later),
        cmocka_unit_test(consume_and_cancel_in_one_breath_are_both_answered),
        cmocka_unit_test(a_consumer_that_lost_its_queue_is_told_if_it_wants_to_be),
        cmocka_unit_test(a_queue_that_goes_while_its_consumer_is_cancelled_is_not_mentioned),
        cmocka_unit_test(prefetch_is_for_consumers_to_come_or_for_the_channel),
        cmocka_unit_test(tags_are_settled_in_order_and_as_asked),
        cmocka_unit_test(what_is_settled_together_is_told_together),
        cmocka_unit_test(acks_in_a_row_are_told_together_up_to_one_that_is_unknown),
        cmocka_unit_test(recovered_deliveries_are_unknown),
    };
    return unit_main("amqp/session: deliveries", tests, argc, argv);
}
