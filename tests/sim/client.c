#include "tests/sim/client.h"

#include <stdio.h>

#include "codec/frame.h"
#include "codec/table.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

enum { METHOD_ROOM = 4096, CLIENT_FRAME_MAX = 4096 };

void client_init(struct client *c, unsigned number, const struct client_world *world)
{
    *c = (struct client){.number = number, .world = *world, .is_reading = true};
    for (unsigned i = 0; i < CHANNELS; i++)
        c->channels[i].number = (uint16_t)(i + 1);
}

static void channel_fini(struct sim_channel *ch)
{
    free(ch->held);
    free(ch->awaited);
    free(ch->doubts);
    free(ch->confirms);
    free(ch->tx_publishes);
    buf_fini(&ch->properties);
    buf_fini(&ch->body);
    *ch = (struct sim_channel){.number = ch->number};
}

void client_fini(struct client *c)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        channel_fini(&c->channels[i]);
    buf_fini(&c->up);
    buf_fini(&c->down);
}

void client_send(struct client *c, uint16_t channel, const union method *m)
{
    uint8_t room[METHOD_ROOM];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = frame_open(&p, FRAME_METHOD, channel);
    method_encode(&p, m);
    frame_close(&p, mark);
    buf_add(&c->up, pen_written(&p));
    verdict_note("client %u.%u sends %s", c->number, channel, method_find(m->id)->name);
}

/* ---- Connection. */

static void send_start_ok(struct client *c)
{
    uint8_t room[256];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *mark = table_open(&p, BYTES("capabilities"), 'F');
    table_put_bool(&p, BYTES("consumer_cancel_notify"), c->learns_of_cancels);
    table_put_bool(&p, BYTES("authentication_failure_close"), true);
    table_close(&p, mark);
    client_send(c, 0,
                &(union method){.connection_start_ok = {.id = METHOD_connection_start_ok,
                                                        .client_properties = pen_written(&p),
                                                        .mechanism = BYTES("PLAIN"),
                                                        .response = BYTES("\0guest\0guest"),
                                                        .locale = BYTES("en_US")}});
}

static void send_tune_ok_and_open(struct client *c)
{
    client_send(c, 0,
                &(union method){.connection_tune_ok = {.id = METHOD_connection_tune_ok,
                                                       .channel_max = 100,
                                                       .frame_max = CLIENT_FRAME_MAX}});
    client_send(c, 0, &(union method){.connection_open = {.id = METHOD_connection_open, .virtual_host = BYTES("/")}});
}

void client_connect(struct client *c, uint32_t connection)
{
    buf_clear(&c->up);
    buf_clear(&c->down);
    c->connection = connection;
    c->state = CLIENT_GREETING;
    c->is_doomed = c->wants_to_drop = false;
    c->is_reading = true;
    c->learns_of_cancels = !rng_one_in(c->world.rng, 3);
    c->pipelines = rng_one_in(c->world.rng, 2);
    buf_add(&c->up, BYTES("AMQP\0\0\x09\x01"));
    if (c->pipelines) {
        send_start_ok(c);
        send_tune_ok_and_open(c);
        channel_start(c, &c->channels[0]);
    }
}

void client_lost(struct client *c)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        channel_over(c, &c->channels[i]);
    client_doubts(c);
    c->state = CLIENT_AWAY;
    c->is_doomed = c->wants_to_drop = false;
    buf_clear(&c->up);
    buf_clear(&c->down);
}

void client_finish(struct client *c)
{
    c->is_reading = true;
    if (c->state == CLIENT_GREETING || (c->state == CLIENT_OPEN && rng_one_in(c->world.rng, 3))) {
        c->wants_to_drop = true;
    } else if (c->state == CLIENT_OPEN) {
        for (unsigned i = 0; i < CHANNELS; i++)
            if (c->channels[i].state != CHANNEL_NONE)
                ledger_scope_ends(c->world.ledger, c->channels[i].scope);
        client_send(c, 0, &(union method){.connection_close = {.id = METHOD_connection_close, .reply_code = 200}});
        c->state = CLIENT_CLOSING;
    }
}

/* Methods of channel 0, which client_read.c hands here. */
void client_on_greeting(struct client *c, const union method *m)
{
    if (c->state != CLIENT_GREETING)
        verdict_fail("client %u: %s after the greeting", c->number, method_find(m->id)->name);
    if (m->id == METHOD_connection_open_ok) {
        c->state = CLIENT_OPEN;
    } else if (!c->pipelines && m->id == METHOD_connection_start) {
        send_start_ok(c);
    } else if (!c->pipelines && m->id == METHOD_connection_tune) {
        send_tune_ok_and_open(c);
    }
}

/* ---- Channels. */

struct sim_channel *client_channel(struct client *c, uint16_t number)
{
    return number >= 1 && number <= CHANNELS ? &c->channels[number - 1] : NULL;
}

void channel_start(struct client *c, struct sim_channel *ch)
{
    channel_fini(ch);
    ch->state = CHANNEL_IN_USE;
    ch->publisher = (*c->world.publishers)++;
    ch->scope = ledger_scope(c->world.ledger);
    client_send(c, ch->number, &(union method){.channel_open = {.id = METHOD_channel_open}});
    channel_expect(ch, METHOD_channel_open_ok, 0, false);
}

void channel_forget_tx(struct client *c, struct sim_channel *ch)
{
    for (size_t i = 0; i < ch->tx_count; i++)
        ledger_stands(c->world.ledger, ch->tx_publishes[i], STANDING_NEVER, *c->world.now);
    ch->tx_count = 0;
}

void channel_over(struct client *c, struct sim_channel *ch)
{
    if (ch->state == CHANNEL_NONE)
        return;
    if (ch->tx_count > 0)
        mark_hit(MARK_tx_lost);
    channel_forget_tx(c, ch);
    ledger_scope_ends(c->world.ledger, ch->scope);
    channel_fini(ch);
}

void channel_expect(struct sim_channel *ch, uint32_t reply, uint32_t detail, bool proves)
{
    *GROW(ch->awaited, ch->awaited_count) =
        (struct awaited){.reply = reply, .detail = detail, .op = ++ch->op, .proves = proves && !ch->is_doomed};
}

void channel_doubt(struct sim_channel *ch, const struct doubt *d)
{
    *GROW(ch->doubts, ch->doubt_count) = *d;
}

uint32_t channel_held_by(const struct sim_channel *ch, uint8_t consumer)
{
    uint32_t n = 0;
    for (size_t i = 0; i < ch->held_count; i++)
        n += ch->held[i].consumer != NO_CONSUMER && (consumer == NO_CONSUMER || ch->held[i].consumer == consumer);
    return n;
}

/* ---- When nothing moves. */

static void check_channel_quiet(const struct client *c, const struct sim_channel *ch)
{
    if (ch->state == CHANNEL_NONE)
        return;
    if (ch->is_doomed)
        verdict_fail("client %u.%u: a fault, and the channel was not closed", c->number, ch->number);
    if (ch->awaited_count > 0)
        verdict_fail("client %u.%u: no answer, %s was due", c->number, ch->number,
                     method_find(ch->awaited[0].reply)->name);
    for (size_t i = 0; i < ch->confirm_count; i++)
        if (!ch->confirms[i].is_answered)
            verdict_fail("client %u.%u: publish %zu was never confirmed", c->number, ch->number, i + 1);
    if (ch->has_method)
        verdict_fail("client %u.%u: half a content", c->number, ch->number);
}

void client_check_quiet(const struct client *c)
{
    if (c->state == CLIENT_AWAY)
        return;
    if (c->state != CLIENT_OPEN || c->is_doomed)
        verdict_fail("client %u: the world is quiet, and it is in state %d", c->number, (int)c->state);
    if (buf_len(&c->down) > 0)
        verdict_fail("client %u: half a frame", c->number);
    for (unsigned i = 0; i < CHANNELS; i++)
        check_channel_quiet(c, &c->channels[i]);
}

static bool consumer_could_take(const struct sim_channel *ch, uint8_t number)
{
    const struct sim_consumer *k = &ch->consumers[number];
    bool full = k->limit > 0 && channel_held_by(ch, number) >= k->limit;
    bool channel_full = ch->limit > 0 && channel_held_by(ch, NO_CONSUMER) >= ch->limit;
    if (!k->no_ack && full)
        mark_hit(MARK_consumer_full);
    else if (!k->no_ack && channel_full)
        mark_hit(MARK_channel_full);
    return k->no_ack || (!full && !channel_full);
}

void client_count_consumers(const struct client *c, uint8_t queue, unsigned *all, unsigned *hungry)
{
    for (unsigned i = 0; i < CHANNELS && c->state == CLIENT_OPEN; i++) {
        const struct sim_channel *ch = &c->channels[i];
        for (uint8_t k = 0; ch->state == CHANNEL_IN_USE && k < CONSUMERS; k++) {
            if (ch->consumers[k].state != CONSUMER_LIVE || ch->consumers[k].is_leaving ||
                ch->consumers[k].queue != queue)
                continue;
            ++*all;
            *hungry += consumer_could_take(ch, k);
        }
    }
}

bool client_log_waits(const struct client *c, uint64_t end)
{
    for (unsigned i = 0; i < CHANNELS && c->state == CLIENT_OPEN; i++) {
        const struct sim_channel *ch = &c->channels[i];
        for (uint8_t k = 0; ch->state == CHANNEL_IN_USE && k < CONSUMERS; k++) {
            const struct sim_consumer *consumer = &ch->consumers[k];
            if (consumer->state == CONSUMER_LIVE && !consumer->is_leaving && consumer->queue == Q_LOG &&
                consumer->next < end && consumer_could_take(ch, k))
                return true;
        }
    }
    return false;
}
