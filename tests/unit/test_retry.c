#include "broker/model/retry.h"
#include "tests/unit/guest.h"
#include "tests/unit/keepsake.h"
#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#include "base/check.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"

static uint64_t delay(enum retry_type type, enum retry_growth growth, uint64_t max_ms, unsigned deliveries, bool failed)
{
    struct queue_options o = QUEUE_OPTIONS_NONE;
    o.retry_type = (uint8_t)type;
    o.retry_growth = (uint8_t)growth;
    o.retry_min_ms = 600;
    o.retry_max_ms = max_ms;
    return retry_delay(&o, deliveries, failed);
}

TEST(the_time_grows_as_asked_up_to_its_maximum)
{
    assert_int_equal(delay(RETRY_ALL, RETRY_LINEAR, 1000, 1, true), 600);
    assert_int_equal(delay(RETRY_ALL, RETRY_LINEAR, 1000, 2, true), 1000);
    assert_int_equal(delay(RETRY_ALL, RETRY_LINEAR, SPEC_NONE, 65535, true), UINT64_C(600) * 65535);
    assert_int_equal(delay(RETRY_ALL, RETRY_CONSTANT, 1000, 7, true), 600);
    assert_int_equal(delay(RETRY_ALL, RETRY_CONSTANT, 500, 7, true), 500);
    assert_int_equal(delay(RETRY_ALL, RETRY_EXPONENTIAL, SPEC_NONE, 1, true), 600);
    assert_int_equal(delay(RETRY_ALL, RETRY_EXPONENTIAL, SPEC_NONE, 5, true), 9600);
    assert_int_equal(delay(RETRY_ALL, RETRY_EXPONENTIAL, 5000, 65535, true), 5000);
    assert_int_equal(delay(RETRY_ALL, RETRY_EXPONENTIAL, SPEC_NONE, 65535, true), RETRY_MAX_MS);
}

TEST(which_returns_wait_is_the_types_choice)
{
    for (unsigned failed = 0; failed < 2; failed++) {
        assert_int_equal(delay(RETRY_DISABLED, RETRY_LINEAR, 1000, 1, failed), 0);
        assert_int_equal(delay(RETRY_ALL, RETRY_LINEAR, 1000, 1, failed), 600);
        assert_int_equal(delay(RETRY_FAILED, RETRY_LINEAR, 1000, 1, failed), failed ? 600 : 0);
        assert_int_equal(delay(RETRY_RETURNED, RETRY_LINEAR, 1000, 1, failed), failed ? 0 : 600);
    }
    struct queue_options none = QUEUE_OPTIONS_NONE;
    none.retry_type = RETRY_ALL;
    assert_int_equal(retry_delay(&none, 1, true), 0);
}

/* What is recorded is that it came back, so after a restart it is ready, with its count. */
TEST(what_waits_survives_a_restart_as_ready)
{
    struct broker_config c = {.memory_high = UINT64_MAX, .records = true};
    struct world w;
    struct keepsake k;
    struct spec spec = {.durable = true, .options = QUEUE_OPTIONS_NONE};
    spec.options.retry_type = RETRY_ALL;
    spec.options.retry_min_ms = 5000;
    world_init_with(&w, &c);
    keepsake_init(&k);
    world_queue(&w, 0, "q", &spec);
    world_attach(&w, 1);
    struct message *m = message_create(&(struct message_spec){.routing_key = BYTES("q"),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .flags = MESSAGE_PERSISTENT,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    world_do(&w, (struct command){.verb = PUBLISH, .publish = {.msg = m}}, 0, 0);
    world_forget(&w);
    world_consume(&w, 1, "q", 0, 0, false);
    world_detach(&w, 1);
    world_wait(&w, 1000);
    assert_int_equal(broker_totals(w.broker).messages_waiting, 1);
    assert_int_equal(broker_totals(w.broker).messages_ready, 0);
    world_forget(&w);
    keepsake_take(&k, &w.effects.records);
    broker_destroy(w.broker);
    keepsake_restart(&k);
    c.default_vhost = "/";
    w.broker = broker_create(&c);
    guest_let_in(w.broker);
    keepsake_restore(&k, w.broker);
    world_attach(&w, 0);
    assert_int_equal(broker_totals(w.broker).messages_ready, 1);
    assert_int_equal(broker_totals(w.broker).messages_waiting, 0);
    world_fini(&w);
    keepsake_fini(&k);
}

TEST(a_queue_that_is_deleted_takes_what_waits_along)
{
    struct world w;
    struct spec spec = {.options = QUEUE_OPTIONS_NONE};
    spec.options.retry_type = RETRY_ALL;
    spec.options.retry_min_ms = 5000;
    world_init(&w);
    world_queue(&w, 0, "q", &spec);
    world_attach(&w, 1);
    world_publish(&w, "", "q", "1");
    world_consume(&w, 1, "q", 0, 0, false);
    world_detach(&w, 1);
    assert_int_equal(broker_totals(w.broker).messages_waiting, 1);
    world_do(&w, (struct command){.verb = DELETE_QUEUE, .spec = spec_create(&(struct spec){.name = BYTES("q")})}, 0, 0);
    assert_int_equal(broker_totals(w.broker).messages_waiting, 0);
    assert_int_equal(broker_totals(w.broker).message_bytes, 0);
    world_wait(&w, 10000);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_grows_as_asked_up_to_its_maximum),
        cmocka_unit_test(which_returns_wait_is_the_types_choice),
        cmocka_unit_test(what_waits_survives_a_restart_as_ready),
        cmocka_unit_test(a_queue_that_is_deleted_takes_what_waits_along),
    };
    return unit_main("retry", tests, argc, argv);
}
