/* Deliveries by the prepared road, held against the tables of codec/method.h byte for byte. */
#include "tests/unit/rig.h"

#include "amqp/output.h"
#include "amqp/prepared.h"

enum { WIRE_ROOM = 1 << 16, CHANNEL = 0xA1B2 };

static uint8_t noise[1 << 14]; /* what names, properties and bodies are cut from */

static void make_noise(void)
{
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 131 + i / 251);
}

struct delivery {
    size_t tag, exchange, key, properties, body, frame_max; /* lengths */
    uint64_t number;
    bool redelivered;
};

static struct message *message_for(const struct delivery *d)
{
    struct message *m = message_create(&(struct message_spec){.exchange = bytes_of(noise + 1, d->exchange),
                                                              .routing_key = bytes_of(noise + 300, d->key),
                                                              .properties = bytes_of(noise + 600, d->properties),
                                                              .extra_keys = bytes_of(noise + 7, d->key % 5),
                                                              .body_size = d->body});
    message_fill(m, bytes_of(noise + 5, d->body));
    return m;
}

static struct bytes tag_for(const struct delivery *d)
{
    return bytes_of(noise + 900, d->tag);
}

/* The ordinary road: a table, and a pen that looks whether there is room. */
static size_t write_by_table(uint8_t *to, const struct delivery *d, uint16_t channel, const struct message *m)
{
    struct pen p = pen_over(to, WIRE_ROOM);
    struct basic_deliver deliver = {
        .id = METHOD_basic_deliver,
        .consumer_tag = tag_for(d),
        .delivery_tag = d->number,
        .redelivered = d->redelivered,
        .exchange = message_exchange(m),
        .routing_key = message_key(m),
    };
    uint8_t *mark = frame_open(&p, FRAME_METHOD, channel);
    method_encode(&p, &(union method){.basic_deliver = deliver});
    frame_close(&p, mark);
    mark = frame_open(&p, FRAME_HEADER, channel);
    pen_u16(&p, 60);
    pen_u16(&p, 0);
    pen_u64(&p, m->body_size);
    pen_bytes(&p, message_properties(m));
    frame_close(&p, mark);
    size_t max = d->frame_max > 0 ? d->frame_max - FRAME_OVERHEAD : SIZE_MAX;
    for (size_t at = 0; at < d->body;) {
        size_t n = d->body - at < max ? d->body - at : max;
        mark = frame_open(&p, FRAME_BODY, channel);
        pen_bytes(&p, bytes_of(noise + 5 + at, n));
        frame_close(&p, mark);
        at += n;
    }
    assert_false(p.full);
    return pen_written(&p).len;
}

static void compare(const struct delivery *d)
{
    static uint8_t expected[WIRE_ROOM];
    uint8_t beginning[PREPARED_MAX];
    struct output o;
    struct iovec iov[2];
    struct message *m = message_for(d);
    size_t size = write_by_table(expected, d, CHANNEL, m);
    struct bytes prepared = bytes_of(beginning, prepared_write(beginning, CHANNEL, tag_for(d)));
    assert_int_equal(prepared.len, PREPARED_HEAD + d->tag);
    output_init(&o);
    prepared_deliver(&o, prepared, d->number, d->redelivered, m);
    assert_int_equal(output_gather(&o, iov, 2), 1);
    assert_int_equal(iov[0].iov_len, size);
    assert_memory_equal(iov[0].iov_base, expected, size);
    assert_int_equal(output_wrote(&o, size), message_window_cost(m));
    message_unref(m);
}

static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 254, 255};

TEST(every_length_of_every_part_is_as_the_tables_have_it)
{
    const size_t n = sizeof lengths / sizeof lengths[0];
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            size_t a = lengths[i], b = lengths[k], c = lengths[(i + k) % n];
            compare(
                &(struct delivery){.tag = a, .exchange = b, .key = c, .properties = 2, .body = 16, .number = i + k});
            compare(&(struct delivery){.tag = c, .exchange = a, .key = b, .properties = c, .body = a});
            compare(&(struct delivery){.tag = 3, .key = a, .properties = b * 9, .body = c * 15, .redelivered = true});
        }
    }
}

TEST(tags_of_all_widths_and_both_kinds_of_redelivered)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t number = UINT64_C(1) << bit;
        for (uint64_t less = 0; less < 2; less++)
            compare(
                &(struct delivery){.tag = 4, .key = 3, .body = 5, .number = number - less, .redelivered = less == 0});
    }
}

/* ---- Through a session. */

static uint32_t consume(struct rig *r, uint16_t channel, struct bytes tag, bool no_ack)
{
    struct basic_consume consume = {
        .id = METHOD_basic_consume, .queue = BYTES("q"), .consumer_tag = tag, .no_ack = no_ack};
    rig_send(r, channel, &(union method){.basic_consume = consume});
    struct command c = rig_command(r, SUBSCRIBE);
    uint32_t number = c.subscribe.consumer;
    rig_done(r, &c);
    rig_expect(r, channel, METHOD_basic_consume_ok, NULL);
    return number;
}

/* Sends one delivery through the session; both roads meet there. */
static void deliver(struct rig *r, const struct delivery *d, uint16_t channel, uint32_t number)
{
    static uint8_t expected[WIRE_ROOM];
    struct message *m = message_for(d);
    size_t size = write_by_table(expected, d, channel, m);
    struct event e = {.what = DELIVERED,
                      .to = {.outlet = {.slot = 3, .generation = 9}, .stream = (uint16_t)(channel - 1)},
                      .delivered = {.msg = m, .consumer = number, .redelivered = d->redelivered, .no_ack = true}};
    rig_event(r, &e);
    assert_int_equal(r->out_len, size);
    assert_memory_equal(r->out, expected, size);
    r->out_len = 0;
}

TEST(a_session_sends_what_the_tables_say_whatever_the_size)
{
    static const size_t bodies[] = {0, 1, 100, 4087, 4088, 4089, 4096, 4097, 8176, 8177, 12000};
    static const size_t frames[] = {4096, 4097, 8192, 131072};
    char tag[] = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
    for (size_t f = 0; f < sizeof frames / sizeof frames[0]; f++) {
        struct rig *r = rig_open_with(RIG_PLAIN, (uint32_t)frames[f]);
        rig_send_bare(r, 2, METHOD_channel_open);
        rig_expect(r, 2, METHOD_channel_open_ok, NULL);
        memset(noise + 900, 'z', sizeof tag);
        uint32_t one = consume(r, 1, BYTES("z"), true), two = consume(r, 2, bytes_of_string(tag), true);
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
            struct delivery d = {.key = i * 5, .properties = 2 + i, .body = bodies[i], .frame_max = frames[f]};
            d.number = i + 1;
            d.redelivered = i % 3 == 0;
            d.tag = 1;
            deliver(r, &d, 1, one);
            d.tag = sizeof tag - 1;
            d.exchange = 20;
            deliver(r, &d, 2, two);
        }
        make_noise();
        rig_destroy(r);
    }
}

TEST(a_run_of_events_is_taken_up_to_the_first_that_is_for_another)
{
    struct rig *r = rig_open();
    uint32_t number = consume(r, 1, BYTES("tag"), true);
    struct event events[6];
    for (unsigned i = 0; i < 6; i++) {
        events[i] = (struct event){.what = DELIVERED, .to = {.outlet = {.slot = 3, .generation = 9}}};
        events[i].delivered.msg = rig_message("body");
        events[i].delivered.consumer = number;
        events[i].delivered.no_ack = true;
    }
    events[3].to.outlet.generation = 10;
    events[4].to.outlet.slot = 4;
    assert_int_equal(session_events(r->session, events, 6, r->now), 3);
    assert_int_equal(session_events(r->session, events + 3, 3, r->now), 0);
    assert_int_equal(session_events(r->session, events + 4, 2, r->now), 0);
    assert_int_equal(session_events(r->session, events + 5, 1, r->now), 1);
    event_drop(&events[3]);
    event_drop(&events[4]);
    rig_turn(r);
    for (unsigned i = 0; i < 4; i++) {
        union method m;
        rig_expect(r, 1, METHOD_basic_deliver, &m);
        assert_int_equal(m.basic_deliver.delivery_tag, i + 1);
        rig_expect_content(r, 1, BYTES("body"));
    }
    rig_expect_nothing(r);
    rig_destroy(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_of_every_part_is_as_the_tables_have_it),
        cmocka_unit_test(tags_of_all_widths_and_both_kinds_of_redelivered),
        cmocka_unit_test(a_session_sends_what_the_tables_say_whatever_the_size),
        cmocka_unit_test(a_run_of_events_is_taken_up_to_the_first_that_is_for_another),
    };
    make_noise();
    return unit_main("amqp/prepared", tests, argc, argv);
}
