/* The connection as time passes: heartbeats, alarms, and how it ends. */
#include "tests/unit/rig.h"

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

/* ---- Heartbeats. */

static struct rig *beating(uint16_t heartbeat_s)
{
    struct rig *r = rig_greet(RIG_PLAIN);
    tune(r, 2047, 131072, heartbeat_s);
    open_vhost(r, "/");
    rig_carry_out(r, ATTACH);
    rig_expect(r, 0, METHOD_connection_open_ok, NULL);
    return r;
}

static void expect_heartbeat(struct rig *r)
{
    struct frame f;
    assert_true(rig_next(r, &f));
    assert_int_equal(f.type, FRAME_HEARTBEAT);
}

TEST(a_heartbeat_is_sent_each_half_interval_of_silence)
{
    struct rig *r = beating(2);
    for (int i = 0; i < 3; i++) {
        assert_true(session_deadline(r->session) <= r->now + 1000);
        pass(r, 999);
        rig_expect_nothing(r);
        pass(r, 1);
        expect_heartbeat(r);
        rig_frame(r, FRAME_HEARTBEAT, 0, (struct bytes){0});
    }
    rig_send_bare(r, 1, METHOD_channel_open); /* its answer is as good as a heartbeat */
    rig_expect(r, 1, METHOD_channel_open_ok, NULL);
    pass(r, 1000);
    rig_expect_nothing(r);
    rig_destroy(r);
}

TEST(a_peer_that_is_silent_for_two_looks_is_gone)
{
    struct rig *r = beating(2);
    pass(r, 2000);
    pass(r, 2000);
    assert_true(wants(r, SESSION_READ));
    pass(r, 2000);
    assert_true(wants(r, SESSION_ABORT));
    rig_carry_out(r, DETACH);
    assert_true(session_is_over(r->session));
    rig_destroy(r);
}

TEST(part_of_a_frame_is_a_sign_of_life)
{
    struct rig *r = beating(2);
    const uint8_t beat[] = {8, 0, 0, 0, 0, 0, 0, 0xCE};
    for (size_t i = 0; i < 7; i++) {
        pass(r, 3900);
        assert_true(wants(r, SESSION_READ));
        rig_bytes(r, bytes_of(&beat[i], 1));
    }
    rig_destroy(r);
}

TEST(no_heartbeat_means_no_deadline)
{
    struct rig *r = beating(0);
    assert_int_equal(session_deadline(r->session), UINT64_MAX);
    rig_destroy(r);
}

/* ---- Alarms. */

TEST(an_alarm_stops_a_connection_at_its_next_content)
{
    struct rig *r = rig_open_with(RIG_CAPABLE, 131072);
    union method m;
    session_alarm(r->session, ALARM_MEMORY, r->now);
    rig_send_bare(r, 1, METHOD_access_request);
    rig_carry_out(r, ECHO);
    rig_expect(r, 1, METHOD_access_request_ok, NULL);
    rig_publish(r, 1, "k", rig_no_properties(), "body");
    rig_expect(r, 0, METHOD_connection_blocked, &m);
    assert_true(bytes_equal(m.connection_blocked.reason, BYTES("low on memory")));
    rig_expect_no_command(r);
    assert_false(wants(r, SESSION_READ));
    session_alarm(r->session, ALARM_MEMORY | ALARM_DISK, r->now);
    session_alarm(r->session, ALARM_DISK, r->now);
    rig_feed_again(r);
    rig_expect_nothing(r);
    rig_expect_no_command(r);
    session_alarm(r->session, 0, r->now);
    rig_feed_again(r);
    rig_expect(r, 0, METHOD_connection_unblocked, NULL);
    struct command c = rig_command(r, PUBLISH);
    command_drop(&c);
    rig_destroy(r);
}

TEST(an_alarm_is_not_told_to_those_who_cannot_hear_it)
{
    struct rig *r = rig_open();
    session_alarm(r->session, ALARM_DISK, r->now);
    rig_publish(r, 1, "k", rig_no_properties(), "");
    rig_expect_nothing(r);
    rig_expect_no_command(r);
    session_alarm(r->session, 0, r->now);
    rig_feed_again(r);
    rig_expect_nothing(r);
    struct command c = rig_command(r, PUBLISH);
    command_drop(&c);
    rig_destroy(r);
}

TEST(a_pause_stops_it_likewise_and_is_not_told)
{
    struct rig *r = rig_open_with(RIG_CAPABLE, 131072);
    session_alarm(r->session, ALARM_BUSY, r->now);
    rig_publish(r, 1, "k", rig_no_properties(), "body");
    rig_expect_nothing(r);
    rig_expect_no_command(r);
    assert_false(wants(r, SESSION_READ));
    session_alarm(r->session, 0, r->now);
    rig_feed_again(r);
    rig_expect_nothing(r);
    struct command c = rig_command(r, PUBLISH);
    command_drop(&c);
    rig_destroy(r);
}

TEST(an_alarm_is_told_during_a_pause_and_its_end_too)
{
    struct rig *r = rig_open_with(RIG_CAPABLE, 131072);
    union method m;
    session_alarm(r->session, ALARM_BUSY, r->now);
    rig_publish(r, 1, "k", rig_no_properties(), "body");
    session_alarm(r->session, ALARM_BUSY | ALARM_DISK, r->now);
    rig_feed_again(r);
    rig_expect(r, 0, METHOD_connection_blocked, &m);
    assert_true(bytes_equal(m.connection_blocked.reason, BYTES("low on disk")));
    session_alarm(r->session, ALARM_DISK, r->now);
    rig_feed_again(r);
    rig_expect_nothing(r);
    session_alarm(r->session, ALARM_BUSY, r->now);
    rig_feed_again(r);
    rig_expect(r, 0, METHOD_connection_unblocked, NULL);
    rig_expect_no_command(r);
    session_alarm(r->session, 0, r->now);
    rig_feed_again(r);
    rig_expect_nothing(r);
    struct command c = rig_command(r, PUBLISH);
    command_drop(&c);
    rig_destroy(r);
}

/* ---- Endings. */

TEST(the_model_lets_go_before_close_ok)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 0, METHOD_connection_close);
    rig_expect_nothing(r);
    rig_send_bare(r, 1, METHOD_access_request); /* ignored */
    struct command c = rig_command(r, DETACH);
    rig_expect_no_command(r);
    rig_done(r, &c);
    rig_expect(r, 0, METHOD_connection_close_ok, NULL);
    rig_send_bare(r, 0, METHOD_connection_close);
    rig_expect(r, 0, METHOD_connection_close_ok, NULL);
    assert_true(wants(r, SESSION_READ)); /* it waits for the client to close the socket */
    pass(r, SESSION_CLOSE_MS);
    assert_true(wants(r, SESSION_CLOSE));
    assert_true(session_is_over(r->session));
    rig_destroy(r);
}

TEST(both_sides_may_close_at_once)
{
    struct rig *r = rig_open();
    session_force_close(r->session, "node is shutting down", r->now);
    rig_send_bare(r, 0, METHOD_connection_close);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 320, "CONNECTION_FORCED - node is shutting down", 0);
    rig_expect(r, 0, METHOD_connection_close_ok, NULL);
    assert_false(wants(r, SESSION_CLOSE));
    rig_send_bare(r, 0, METHOD_connection_close_ok);
    assert_true(wants(r, SESSION_CLOSE));
    rig_destroy(r);
}

TEST(a_lost_peer_lets_go_of_everything)
{
    struct rig *r = rig_open();
    session_lost(r->session);
    session_lost(r->session);
    assert_true(wants(r, SESSION_ABORT));
    assert_false(session_is_over(r->session));
    rig_carry_out(r, DETACH);
    rig_expect_no_command(r);
    assert_true(session_is_over(r->session));
    rig_destroy(r);
}

TEST(a_peer_that_is_lost_while_it_attaches_is_detached_when_it_is_attached)
{
    struct rig *r = rig_greet(RIG_PLAIN);
    tune(r, 2047, 131072, 0);
    open_vhost(r, "/");
    session_lost(r->session);
    struct command c = rig_command(r, ATTACH);
    rig_expect_no_command(r);
    rig_done(r, &c);
    rig_carry_out(r, DETACH);
    assert_true(session_is_over(r->session));
    rig_destroy(r);
}

TEST(a_forced_close_waits_for_what_is_asked)
{
    struct rig *r = rig_greet(RIG_PLAIN);
    tune(r, 2047, 131072, 0);
    open_vhost(r, "/");
    session_force_close(r->session, "so it is", r->now);
    rig_carry_out(r, ATTACH);
    rig_carry_out(r, DETACH);
    rig_expect_close(r, 0, 320, "CONNECTION_FORCED - so it is", 0);
    rig_destroy(r);
}

TEST(output_that_never_drains_is_given_up)
{
    struct rig *r = rig_create();
    session_feed(r->session, BYTES("nonsense"), r->now);
    assert_true(wants(r, SESSION_CLOSE | SESSION_WRITE));
    r->now = session_deadline(r->session);
    session_tick(r->session, r->now);
    assert_true(wants(r, SESSION_ABORT));
    rig_destroy(r);
}

TEST(a_new_secret_is_as_good_as_the_old_one)
{
    struct rig *r = rig_open();
    rig_send_bare(r, 0, METHOD_connection_update_secret);
    rig_expect(r, 0, METHOD_connection_update_secret_ok, NULL);
    rig_destroy(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heartbeat_is_sent_each_half_interval_of_silence),
        cmocka_unit_test(a_peer_that_is_silent_for_two_looks_is_gone),
        cmocka_unit_test(part_of_a_frame_is_a_sign_of_life),
        cmocka_unit_test(no_heartbeat_means_no_deadline),
        cmocka_unit_test(an_alarm_stops_a_connection_at_its_next_content),
        cmocka_unit_test(an_alarm_is_not_told_to_those_who_cannot_hear_it),
        cmocka_unit_test(a_pause_stops_it_likewise_and_is_not_told),
        cmocka_unit_test(an_alarm_is_told_during_a_pause_and_its_end_too),
        cmocka_unit_test(the_model_lets_go_before_close_ok),
        cmocka_unit_test(both_sides_may_close_at_once),
        cmocka_unit_test(a_lost_peer_lets_go_of_everything),
        cmocka_unit_test(a_peer_that_is_lost_while_it_attaches_is_detached_when_it_is_attached),
        cmocka_unit_test(a_forced_close_waits_for_what_is_asked),
        cmocka_unit_test(output_that_never_drains_is_given_up),
        cmocka_unit_test(a_new_secret_is_as_good_as_the_old_one),
    };
    return unit_main("amqp/session: time and endings", tests, argc, argv);
}
