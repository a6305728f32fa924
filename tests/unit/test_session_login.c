/* Logging in: what is offered, who is asked, when the verdict is told, and that no secret stays. */
#include "tests/unit/rig.h"

#include <stdio.h>
#include <string.h>

#include "amqp/login.h"
#include "base/str.h"
#include "codec/table.h"

/* ---- What becomes of secrets: explicit_bzero() is ours here. */

static unsigned wiped;      /* times */
static char last_wiped[64]; /* what was there, as far as there is room */

static void wipe(void *at, size_t n)
{
    snprintf(last_wiped, sizeof last_wiped, "%.*s", (int)n, (const char *)at);
    memset(at, 0, n);
    __asm__ volatile("" : : "r"(at) : "memory");
    wiped++;
}

void explicit_bzero(void *at, size_t n);
void explicit_bzero(void *at, size_t n)
{
    wipe(at, n);
}

void __explicit_bzero_chk(void *at, size_t n, size_t room);
void __explicit_bzero_chk(void *at, size_t n, size_t room)
{
    assert_true(n <= room);
    wipe(at, n);
}

/* ---- Clients. */

static const char refusal_plain[] = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For "
                                    "details see the broker logfile.";
static const char refusal_external[] = "ACCESS_REFUSED - Login was refused using authentication mechanism EXTERNAL. "
                                       "For details see the broker logfile.";

/* Sends the protocol header; answers the mechanisms that are offered in text. */
static struct rig *meet(struct rig *r, char text[64])
{
    union method m;
    rig_bytes(r, BYTES("AMQP\0\0\x09\x01"));
    rig_expect(r, 0, METHOD_connection_start, &m);
    snprintf(text, 64, "%.*s", BYTES_ARG(m.connection_start.mechanisms));
    return r;
}

static struct rig *from(const struct session_peer *peer)
{
    char offered[64];
    return meet(rig_create_for(peer), offered);
}

static struct rig *from_here(void)
{
    return from(&(struct session_peer){.name = "here", .is_loopback = true});
}

/* Says who it is; it can hear a refusal. */
static void start_ok(struct rig *r, const char *mechanism, struct bytes response)
{
    uint8_t room[128];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = table_open(&p, BYTES("capabilities"), 'F');
    table_put_bool(&p, BYTES("authentication_failure_close"), true);
    table_close(&p, mark);
    struct connection_start_ok ok = {
        .id = METHOD_connection_start_ok,
        .client_properties = pen_written(&p),
        .mechanism = bytes_of_string(mechanism),
        .response = response,
    };
    rig_send(r, 0, &(union method){.connection_start_ok = ok});
}

static void tune_and_open(struct rig *r)
{
    struct connection_tune_ok tune = {.id = METHOD_connection_tune_ok, .channel_max = 7, .frame_max = 4096};
    struct connection_open open = {.id = METHOD_connection_open, .virtual_host = BYTES("/")};
    rig_send(r, 0, &(union method){.connection_tune_ok = tune});
    rig_send(r, 0, &(union method){.connection_open = open});
}

static void pass(struct rig *r, uint64_t ms)
{
    r->now += ms;
    session_tick(r->session, r->now);
    rig_turn(r);
}

static bool is_reading(const struct rig *r)
{
    return (session_wants(r->session) & SESSION_READ) != 0;
}

/* ---- When it is told. */

TEST(either_verdict_is_told_at_its_time_and_not_before)
{
    static const struct bytes responses[] = {{(const uint8_t *)"\0guest\0guest", 12},
                                             {(const uint8_t *)"\0guest\0wrong", 12},
                                             {(const uint8_t *)"\0nobody\0wrong", 13}};
    for (unsigned i = 0; i < 3; i++) {
        struct rig *r = from_here();
        r->login_delay_ms = 30000; /* longer than the handshake may take */
        start_ok(r, "PLAIN", responses[i]);
        assert_int_equal(r->logins, 1);
        assert_int_equal(session_deadline(r->session), r->now + 30000);
        pass(r, 29999);
        rig_expect_nothing(r);
        assert_int_equal(session_wants(r->session), SESSION_LISTEN); /* for a peer that hangs up */
        assert_int_equal(session_has_logged_in(r->session), i == 0);
        pass(r, 1);
        if (i == 0)
            rig_expect(r, 0, METHOD_connection_tune, NULL);
        else
            rig_expect_close(r, 0, 403, refusal_plain, 0);
        rig_destroy(r);
    }
}

TEST(after_the_verdict_the_handshake_has_its_time_again)
{
    struct rig *r = from_here();
    r->login_delay_ms = 30000;
    start_ok(r, "PLAIN", BYTES("\0guest\0guest"));
    pass(r, 30000);
    rig_expect(r, 0, METHOD_connection_tune, NULL);
    pass(r, 9999);
    assert_true(is_reading(r));
    pass(r, 1);
    assert_false(is_reading(r));
    rig_destroy(r);
}

TEST(what_is_pipelined_waits_for_the_verdict)
{
    struct rig *r = from_here();
    r->keeps_logins = true;
    r->login_delay_ms = 500;
    start_ok(r, "PLAIN", BYTES("\0guest\0guest"));
    tune_and_open(r);
    assert_true(r->in_len > 0); /* it was not taken */
    assert_false(is_reading(r));
    struct command c = rig_command(r, LOGIN);
    rig_expect_no_command(r);
    rig_answer_login(r, &c);
    rig_feed_again(r);
    rig_expect_no_command(r);
    pass(r, 500);
    rig_expect(r, 0, METHOD_connection_tune, NULL);
    rig_feed_again(r);
    rig_carry_out(r, ATTACH);
    rig_expect(r, 0, METHOD_connection_open_ok, NULL);
    rig_destroy(r);
}

TEST(what_is_pipelined_behind_a_refusal_is_nothing)
{
    struct rig *r = from_here();
    r->login_delay_ms = 500;
    start_ok(r, "PLAIN", BYTES("\0guest\0wrong"));
    tune_and_open(r);
    pass(r, 500);
    rig_expect_close(r, 0, 403, refusal_plain, 0);
    rig_feed_again(r);
    rig_expect_no_command(r);
    rig_expect_nothing(r);
    rig_destroy(r);
}

/* ---- Who goes meanwhile. */

TEST(who_goes_while_the_model_is_asked_is_judged_no_more)
{
    struct rig *r = from_here();
    r->keeps_logins = true;
    start_ok(r, "PLAIN", BYTES("\0guest\0guest"));
    struct command c = rig_command(r, LOGIN);
    session_lost(r->session);
    assert_true(session_is_over(r->session));
    rig_answer_login(r, &c); /* it was under way */
    assert_int_equal(r->logins, 0);
    rig_expect_nothing(r);
    rig_destroy(r);
}

TEST(who_goes_while_the_verdict_waits_is_counted_and_gone)
{
    struct rig *r = from_here();
    r->login_delay_ms = 500;
    start_ok(r, "PLAIN", BYTES("\0guest\0guest"));
    session_lost(r->session);
    assert_int_equal(r->logins, 1);
    assert_true(session_is_over(r->session));
    assert_int_equal(session_deadline(r->session), UINT64_MAX);
    pass(r, 500);
    rig_expect_nothing(r);
    rig_destroy(r);
}

TEST(a_client_whose_login_is_never_answered_has_its_time_and_no_more)
{
    struct rig *r = from_here();
    r->keeps_logins = true;
    start_ok(r, "PLAIN", BYTES("\0guest\0guest"));
    struct command c = rig_command(r, LOGIN);
    pass(r, 10000);
    assert_true((session_wants(r->session) & SESSION_CLOSE) != 0);
    rig_answer_login(r, &c);
    rig_expect_nothing(r);
    rig_destroy(r);
}

/* ---- Mechanisms. */

TEST(external_is_offered_over_tls_alone)
{
    char offered[64];
    rig_destroy(meet(rig_create_for(&(struct session_peer){.name = "plain"}), offered));
    assert_string_equal(offered, "PLAIN AMQPLAIN");
    rig_destroy(meet(rig_create_for(&(struct session_peer){.name = "tls", .is_tls = true}), offered));
    assert_string_equal(offered, "PLAIN AMQPLAIN EXTERNAL");
}

TEST(a_mechanism_that_is_not_offered_is_met_with_silence)
{
    struct rig *r = from(&(struct session_peer){.name = "plain", .is_loopback = true, .certificate_name = "guest"});
    start_ok(r, "EXTERNAL", (struct bytes){0});
    rig_expect_nothing(r);
    rig_expect_no_command(r);
    assert_int_equal(session_wants(r->session), SESSION_READ);
    rig_destroy(r);
}

TEST(mechanisms_are_those_of_the_configuration)
{
    char offered[64];
    struct rig *r = rig_create_for(&(struct session_peer){.name = "tls", .is_loopback = true, .is_tls = true});
    r->config.mechanisms = SASL_AMQPLAIN | SASL_EXTERNAL;
    meet(r, offered);
    assert_string_equal(offered, "AMQPLAIN EXTERNAL");
    start_ok(r, "PLAIN", BYTES("\0guest\0guest"));
    rig_expect_nothing(r);
    assert_int_equal(r->logins, 0);
    assert_int_equal(session_wants(r->session), SESSION_READ);
    rig_destroy(r);
}

TEST(a_certificate_says_who_comes_and_the_client_does_not)
{
    struct session_peer peer = {.name = "tls", .is_loopback = true, .is_tls = true, .certificate_name = "guest"};
    struct rig *r = from(&peer);
    r->keeps_logins = true;
    start_ok(r, "EXTERNAL", BYTES("\0root\0root"));
    struct command c = rig_command(r, LOGIN);
    assert_true(bytes_equal(c.spec->name, BYTES("guest")));
    rig_answer_login(r, &c);
    rig_turn(r);
    rig_expect(r, 0, METHOD_connection_tune, NULL);
    rig_destroy(r);
}

TEST(without_a_name_in_a_certificate_external_is_refused)
{
    static const char *const faults[] = {NULL, "connection peer presented no TLS (x.509) certificate"};
    for (unsigned i = 0; i < 2; i++) {
        struct session_peer peer = {.name = "tls", .is_loopback = true, .is_tls = true, .certificate_fault = faults[i]};
        struct rig *r = from(&peer);
        start_ok(r, "EXTERNAL", BYTES("guest"));
        rig_expect_close(r, 0, 403, refusal_external, 0);
        rig_expect_no_command(r);
        assert_int_equal(r->logins, 0);
        rig_destroy(r);
    }
}

TEST(a_certificate_of_nobody_is_refused_like_any_other)
{
    struct rig *r =
        from(&(struct session_peer){.name = "tls", .is_loopback = true, .is_tls = true, .certificate_name = "nobody"});
    r->login_delay_ms = 200;
    start_ok(r, "EXTERNAL", (struct bytes){0});
    rig_expect_nothing(r);
    pass(r, 200);
    rig_expect_close(r, 0, 403, refusal_external, 0);
    rig_destroy(r);
}

/* ---- Names and passwords. */

static struct bytes amqplain(uint8_t *room, size_t size, struct bytes user, struct bytes password)
{
    struct pen p = pen_over(room, size);
    table_put_string(&p, BYTES("LOGIN"), user);
    table_put_string(&p, BYTES("PASSWORD"), password);
    return pen_written(&p);
}

TEST(a_name_with_a_zero_is_nobodys)
{
    uint8_t room[128];
    struct rig *r = from_here();
    start_ok(r, "AMQPLAIN", amqplain(room, sizeof room, BYTES("guest\0x"), BYTES("guest")));
    rig_expect_no_command(r);
    assert_int_equal(r->logins, 0);
    union method m;
    rig_expect(r, 0, METHOD_connection_close, &m);
    assert_int_equal(m.connection_close.reply_code, 403);
    rig_destroy(r);
}

TEST(names_have_255_bytes)
{
    uint8_t name[LOGIN_NAME_MAX + 1], room[512];
    memset(name, 'n', sizeof name);
    for (size_t len = LOGIN_NAME_MAX; len <= LOGIN_NAME_MAX + 1; len++) {
        struct rig *r = from_here();
        start_ok(r, "AMQPLAIN", amqplain(room, sizeof room, bytes_of(name, len), BYTES("guest")));
        rig_expect(r, 0, METHOD_connection_close, NULL);
        assert_int_equal(r->logins, len <= LOGIN_NAME_MAX);
        rig_destroy(r);
    }
}

TEST(an_empty_password_opens_nothing_in_either_mechanism)
{
    uint8_t room[128];
    for (int i = 0; i < 2; i++) {
        struct rig *r = from_here();
        if (i == 0)
            start_ok(r, "PLAIN", BYTES("\0guest\0"));
        else
            start_ok(r, "AMQPLAIN", amqplain(room, sizeof room, BYTES("guest"), (struct bytes){0}));
        rig_expect(r, 0, METHOD_connection_close, NULL);
        assert_int_equal(r->logins, 0);
        rig_destroy(r);
    }
}

/* ---- Afterwards. */

TEST(a_password_is_wiped_when_it_was_judged)
{
    struct rig *r = from_here();
    wiped = 0;
    r->login_delay_ms = 500;
    start_ok(r, "PLAIN", BYTES("\0guest\0swordfish"));
    assert_int_equal(wiped, 1);
    assert_string_equal(last_wiped, "swordfish"); /* and nobody has been told yet */
    rig_expect_nothing(r);
    rig_destroy(r);
    assert_int_equal(wiped, 1);
}

TEST(a_password_is_wiped_when_nobody_judges_it)
{
    struct rig *r = from_here();
    uint8_t room[128];
    r->keeps_logins = true;
    wiped = 0;
    start_ok(r, "PLAIN", BYTES("\0guest\0swordfish"));
    struct command c = rig_command(r, LOGIN);
    assert_int_equal(wiped, 0);
    command_drop(&c);
    rig_destroy(r);
    assert_int_equal(wiped, 1);
    assert_string_equal(last_wiped, "swordfish");

    r = from_here();
    start_ok(r, "AMQPLAIN", amqplain(room, sizeof room, BYTES("a\0b"), BYTES("marlin")));
    assert_int_equal(wiped, 2);
    assert_string_equal(last_wiped, "marlin");
    rig_destroy(r);
}

/* ---- Sent away. */

static void expel(struct rig *r)
{
    static const char why[] = "user 'guest' is deleted";
    struct event e = {.what = EXPELLED, .to = {.outlet = {.slot = 3, .generation = 9}}};
    e.expelled.text = str_copy(bytes_of_string(why));
    rig_event(r, &e);
}

TEST(who_is_sent_away_hears_nothing_behind_it)
{
    struct rig *r = rig_open_with(RIG_CAPABLE, 131072);
    rig_send_bare(r, 1, METHOD_confirm_select);
    rig_carry_out(r, ECHO);
    rig_expect(r, 1, METHOD_confirm_select_ok, NULL);
    rig_publish(r, 1, "q", rig_no_properties(), "m");
    struct command publish = rig_command(r, PUBLISH);
    expel(r);
    struct command detach = rig_command(r, DETACH);
    rig_confirm(r, &publish, CONFIRMED); /* it waited for the disk */
    rig_expect_nothing(r);
    struct event e = {.what = DETACHED, .to = detach.from};
    rig_event(r, &e);
    rig_expect_close(r, 0, 320, "CONNECTION_FORCED - user 'guest' is deleted", 0);
    rig_expect_nothing(r);
    command_drop(&publish);
    rig_destroy(r);
}

TEST(who_is_sent_away_while_coming_in_is_told_then)
{
    struct rig *r = rig_greet(RIG_CAPABLE);
    tune_and_open(r);
    struct command attach = rig_command(r, ATTACH);
    expel(r); /* the answer waits for the disk, this does not */
    rig_expect_nothing(r);
    rig_done(r, &attach);
    struct command detach = rig_command(r, DETACH);
    struct event e = {.what = DETACHED, .to = detach.from};
    rig_event(r, &e);
    rig_expect_close(r, 0, 320, "CONNECTION_FORCED - user 'guest' is deleted", 0);
    rig_destroy(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_verdict_is_told_at_its_time_and_not_before),
        cmocka_unit_test(after_the_verdict_the_handshake_has_its_time_again),
        cmocka_unit_test(what_is_pipelined_waits_for_the_verdict),
        cmocka_unit_test(what_is_pipelined_behind_a_refusal_is_nothing),
        cmocka_unit_test(who_goes_while_the_model_is_asked_is_judged_no_more),
        cmocka_unit_test(who_goes_while_the_verdict_waits_is_counted_and_gone),
        cmocka_unit_test(a_client_whose_login_is_never_answered_has_its_time_and_no_more),
        cmocka_unit_test(external_is_offered_over_tls_alone),
        cmocka_unit_test(a_mechanism_that_is_not_offered_is_met_with_silence),
        cmocka_unit_test(mechanisms_are_those_of_the_configuration),
        cmocka_unit_test(a_certificate_says_who_comes_and_the_client_does_not),
        cmocka_unit_test(without_a_name_in_a_certificate_external_is_refused),
        cmocka_unit_test(a_certificate_of_nobody_is_refused_like_any_other),
        cmocka_unit_test(a_name_with_a_zero_is_nobodys),
        cmocka_unit_test(names_have_255_bytes),
        cmocka_unit_test(an_empty_password_opens_nothing_in_either_mechanism),
        cmocka_unit_test(a_password_is_wiped_when_it_was_judged),
        cmocka_unit_test(a_password_is_wiped_when_nobody_judges_it),
        cmocka_unit_test(who_is_sent_away_hears_nothing_behind_it),
        cmocka_unit_test(who_is_sent_away_while_coming_in_is_told_then),
    };
    return unit_main("amqp/login", tests, argc, argv);
}
