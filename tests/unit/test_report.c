/* What a session tells the model of its socket and its channels, and when (amqp/report.h). */
#include "tests/unit/rig.h"

#include <stdlib.h>

#include "amqp/report.h"
#include "broker/port/sample.h"

/* Logged in; from now on it reports. */
static struct rig *open(void)
{
    struct rig *r = rig_open();
    r->config.report_ms = REPORT_MS;
    return r;
}

/* At its time, which has not come before, it reports; the caller frees that. */
static struct report *report_at(struct rig *r, uint64_t at)
{
    assert_int_equal(session_deadline(r->session), at);
    session_tick(r->session, at - 1);
    rig_expect_no_command(r);
    r->now = at;
    session_tick(r->session, at);
    return rig_command(r, REPORT).report;
}

/* When the first one, or one after a long silence, is due. */
static uint64_t soon(const struct rig *r)
{
    enum { SLOT = 3 };
    return r->now + REPORT_SOON_MS + SLOT;
}

static void publish(struct rig *r, uint16_t channel)
{
    rig_publish(r, channel, "q", rig_no_properties(), "x");
    struct command c = rig_command(r, PUBLISH);
    command_drop(&c);
}

static void open_channel(struct rig *r, uint16_t channel, enum method_id mode)
{
    if (channel > 1) {
        rig_send_bare(r, channel, METHOD_channel_open);
        rig_expect(r, channel, METHOD_channel_open_ok, NULL);
    }
    rig_send_bare(r, channel, mode);
    rig_carry_out(r, ECHO);
    rig_expect(r, channel, mode + 1, NULL);
}

TEST(a_session_reports_soon_and_then_no_more_often_than_it_may)
{
    struct rig *r = open();
    publish(r, 1);
    struct report *first = report_at(r, soon(r));
    assert_true(first->recv_oct > 0 && first->recv_cnt > 0 && first->send_oct > 0 && first->send_cnt > 0);
    assert_int_equal(first->n_channels, 0);
    uint64_t reported = r->now;
    r->now += 10;
    publish(r, 1);
    struct report *second = report_at(r, reported + REPORT_MS);
    assert_true(second->recv_oct > first->recv_oct && second->recv_cnt > first->recv_cnt);
    assert_int_equal(second->send_oct, first->send_oct);
    free(first);
    free(second);
    rig_destroy(r);
}

TEST(an_idle_session_reports_nothing)
{
    struct rig *r = open();
    publish(r, 1);
    free(report_at(r, soon(r)));
    assert_int_equal(session_deadline(r->session), UINT64_MAX);
    r->now += (uint64_t)100 * REPORT_MS;
    session_tick(r->session, r->now);
    rig_expect_no_command(r);
    publish(r, 1); /* and after a long time soon again */
    free(report_at(r, soon(r)));
    rig_destroy(r);
}

TEST(every_byte_that_was_read_is_counted_once)
{
    enum { FRAME = 8 + 5 }; /* confirm.select, that is not answered */
    struct rig *r = open();
    publish(r, 1);
    struct report *before = report_at(r, soon(r));
    uint64_t reported = r->now;
    rig_bytes(r, bytes_of("\1\0\1\0", 4)); /* a part of a frame, which is offered again with the rest */
    rig_bytes(r, bytes_of("\0\0\5\0\x55\0\x0a\1\xce", 9));
    rig_carry_out(r, ECHO);
    struct report *after = report_at(r, reported + REPORT_MS);
    assert_int_equal(after->recv_oct, before->recv_oct + FRAME);
    assert_int_equal(after->recv_cnt, before->recv_cnt + 2);
    free(before);
    free(after);
    rig_destroy(r);
}

TEST(what_waits_for_confirms_and_commits_is_told_and_that_it_is_over)
{
    struct rig *r = open();
    open_channel(r, 1, METHOD_confirm_select);
    open_channel(r, 2, METHOD_tx_select);
    struct command publishes[2];
    for (unsigned i = 0; i < 2; i++) {
        rig_publish(r, 1, "q", rig_no_properties(), "x");
        publishes[i] = rig_command(r, PUBLISH);
        command_drop(&publishes[i]);
    }
    publish(r, 2);
    struct report *report = report_at(r, soon(r));
    assert_int_equal(report->n_channels, 2);
    assert_int_equal(report->channels[0].unconfirmed, 2);
    assert_int_equal(report->channels[0].uncommitted, 0);
    assert_int_equal(report->channels[1].uncommitted, 1);
    assert_int_equal(report->channels[1].acks_uncommitted, 0);
    assert_true(report->channels[0].stream != report->channels[1].stream);
    free(report);
    uint64_t reported = r->now;
    rig_confirm(r, &publishes[1], CONFIRMED);
    rig_expect(r, 1, METHOD_basic_ack, NULL);
    rig_send_bare(r, 2, METHOD_tx_rollback);
    rig_carry_out(r, ROLLBACK);
    rig_expect(r, 2, METHOD_tx_rollback_ok, NULL);
    report = report_at(r, reported + REPORT_MS);
    assert_int_equal(report->n_channels, 2);
    assert_int_equal(report->channels[0].unconfirmed, 1); /* the first, though the second is */
    assert_int_equal(report->channels[1].uncommitted, 0);
    free(report);
    rig_destroy(r);
}

TEST(more_channels_than_a_report_holds_are_told_by_the_next)
{
    enum { CHANNELS = REPORT_CHANNELS_MAX + 40 };
    struct rig *r = open();
    bool told[CHANNELS + 2] = {false};
    unsigned n = 0;
    for (uint16_t i = 1; i <= CHANNELS; i++) {
        open_channel(r, i, METHOD_confirm_select);
        publish(r, i);
    }
    for (uint64_t at = session_deadline(r->session); n < CHANNELS; at = r->now + REPORT_MS) {
        struct report *report = report_at(r, at);
        unsigned before = n;
        for (unsigned i = 0; i < report->n_channels; i++) {
            assert_true(report->channels[i].stream < CHANNELS + 2);
            n += !told[report->channels[i].stream];
            told[report->channels[i].stream] = true;
        }
        assert_true(n > before);
        free(report);
    }
    rig_destroy(r);
}

TEST(an_alarm_is_told_and_whether_it_has_stopped_anything)
{
    struct rig *r = open();
    session_alarm(r->session, ALARM_MEMORY, r->now);
    struct report *report = report_at(r, soon(r));
    assert_true(report->is_blocking && !report->is_blocked);
    free(report);
    uint64_t reported = r->now;
    rig_publish(r, 1, "q", rig_no_properties(), "x"); /* it is not read any further */
    rig_expect_no_command(r);
    report = report_at(r, reported + REPORT_MS);
    assert_true(report->is_blocked && !report->is_blocking);
    free(report);
    reported = r->now;
    session_alarm(r->session, 0, r->now);
    rig_feed_again(r);
    struct command c = rig_command(r, PUBLISH);
    command_drop(&c);
    report = report_at(r, reported + REPORT_MS);
    assert_true(!report->is_blocked && !report->is_blocking);
    free(report);
    rig_destroy(r);
}

TEST(the_last_report_comes_before_the_end)
{
    struct rig *r = open();
    publish(r, 1);
    session_lost(r->session);
    struct command c = rig_command(r, REPORT);
    assert_true(c.report->recv_oct > 0);
    command_drop(&c);
    rig_destroy(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_reports_soon_and_then_no_more_often_than_it_may),
        cmocka_unit_test(an_idle_session_reports_nothing),
        cmocka_unit_test(every_byte_that_was_read_is_counted_once),
        cmocka_unit_test(what_waits_for_confirms_and_commits_is_told_and_that_it_is_over),
        cmocka_unit_test(more_channels_than_a_report_holds_are_told_by_the_next),
        cmocka_unit_test(an_alarm_is_told_and_whether_it_has_stopped_anything),
        cmocka_unit_test(the_last_report_comes_before_the_end),
    };
    return unit_main("session_report", tests, argc, argv);
}
