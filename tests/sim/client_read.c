#include <string.h>

#include "codec/frame.h"
#include "codec/properties.h"
#include "codec/table.h"
#include "tests/sim/client.h"
#include "tests/sim/history.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

/* ---- What an answer proves. */

static void settle_doubt(struct client *c, const struct doubt *d)
{
    if (d->is_settlement)
        ledger_settled(c->world.ledger, &d->hold, d->outcome);
    else
        ledger_stands(c->world.ledger, d->message, STANDING_SURE, *c->world.now);
}

static void prove(struct client *c, struct sim_channel *ch, uint64_t op)
{
    size_t kept = 0;
    for (size_t i = 0; i < ch->doubt_count; i++) {
        if (ch->doubts[i].op <= op)
            settle_doubt(c, &ch->doubts[i]);
        else
            ch->doubts[kept++] = ch->doubts[i];
    }
    ch->doubt_count = kept;
}

/* The answer that is due; dies if it is another. */
static struct awaited take_answer(struct client *c, struct sim_channel *ch, uint32_t id)
{
    if (ch->awaited_count == 0 || ch->awaited[0].reply != id)
        verdict_fail("client %u.%u: %s came, %s was due", c->number, ch->number, method_find(id)->name,
                     ch->awaited_count == 0 ? "nothing" : method_find(ch->awaited[0].reply)->name);
    struct awaited a = ch->awaited[0];
    memmove(ch->awaited, ch->awaited + 1, --ch->awaited_count * sizeof a);
    if (a.proves)
        prove(c, ch, a.op);
    if (a.detail >= NOTE_DETAIL && id != METHOD_queue_purge_ok && id != METHOD_basic_get_ok)
        client_noted(c, a.detail);
    return a;
}

/* ---- Deliveries. */

static struct sim_consumer *find_consumer(struct sim_channel *ch, struct bytes tag, uint8_t *number)
{
    for (uint8_t k = 0; k < CONSUMERS; k++)
        if (ch->consumers[k].state != CONSUMER_NONE && bytes_equal(bytes_of_string(ch->consumers[k].tag), tag)) {
            *number = k;
            return &ch->consumers[k];
        }
    return NULL;
}

static void check_tag(struct client *c, struct sim_channel *ch, uint64_t tag)
{
    if (tag != ch->last_tag + 1)
        verdict_fail("client %u.%u: delivery tag %llu after %llu", c->number, ch->number, (unsigned long long)tag,
                     (unsigned long long)ch->last_tag);
    ch->last_tag = tag;
    ch->arriving_tag = tag;
}

static void on_deliver(struct client *c, struct sim_channel *ch, const struct basic_deliver *m)
{
    struct sim_consumer *k = find_consumer(ch, m->consumer_tag, &ch->arriving_consumer);
    if (k == NULL || k->state != CONSUMER_LIVE)
        verdict_fail("client %u.%u: a delivery for %.*s, which is not consuming", c->number, ch->number,
                     BYTES_ARG(m->consumer_tag));
    if (k->is_leaving)
        mark_hit(MARK_got_after_cancel);
    check_tag(c, ch, m->delivery_tag);
    ch->arriving = (struct handout){
        .connection = c->connection, .queue = k->queue, .redelivered = m->redelivered, .no_ack = k->no_ack};
}

static void on_get_ok(struct client *c, struct sim_channel *ch, const struct basic_get_ok *m)
{
    struct awaited a = take_answer(c, ch, METHOD_basic_get_ok);
    check_tag(c, ch, m->delivery_tag);
    ch->arriving_consumer = NO_CONSUMER;
    ch->arriving = (struct handout){.connection = c->connection,
                                    .queue = (uint8_t)a.detail,
                                    .redelivered = m->redelivered,
                                    .no_ack = a.detail & 0x100U};
}

/* Limits as the client sees them: it holds no more than the server may have out.  What a deleted queue gave does not
 * count. */
static void check_limits(struct client *c, struct sim_channel *ch, uint8_t number)
{
    const struct sim_consumer *k = &ch->consumers[number];
    uint32_t own = channel_held_by(ch, number), all = channel_held_by(ch, NO_CONSUMER), limit = ch->limit;
    for (size_t i = 0; i < ch->held_count; i++)
        all -= ch->held[i].consumer != NO_CONSUMER && ch->held[i].hold.queue == Q_PASSING;
    if (ch->qos_pending > 0 && (ch->limit_before == 0 || (limit > 0 && ch->limit_before > limit)))
        limit = ch->limit_before;
    if (k->limit > 0 && own > k->limit)
        verdict_fail("client %u.%u: consumer %s has %u out, its limit is %u", c->number, ch->number, k->tag, own,
                     k->limit);
    if (limit > 0 && all > limit)
        verdict_fail("client %u.%u: %u are out, the channel's limit is %u", c->number, ch->number, all, limit);
}

/* The message's number; dies if the body is not as it was sent. */
static uint32_t check_body(struct client *c, struct bytes body)
{
    struct cursor b = cursor_over(body);
    uint32_t message = cursor_u32(&b);
    cursor_u64(&b);
    uint32_t length = cursor_u32(&b);
    if (b.bad || length != body.len)
        verdict_fail("client %u: a body of %zu bytes says that it has %u", c->number, body.len, length);
    for (size_t i = BODY_HEAD; i < body.len; i++)
        if (body.at[i] != (uint8_t)(message + i))
            verdict_fail("client %u: message %u is corrupt at %zu", c->number, message, i);
    return message;
}

static void on_message(struct client *c, struct sim_channel *ch)
{
    struct handout *h = &ch->arriving;
    h->message = check_body(c, buf_view(&ch->body));
    h->generation = history_count(buf_view(&ch->properties));
    if (h->generation > 0)
        history_check(c->world.topology, h->queue, buf_view(&ch->properties));
    struct hold hold = {.message = h->message, .queue = h->queue, .serial = UINT64_MAX};
    if (h->queue == Q_LOG)
        scroll_read(c->world.scroll, h->message, scroll_offset(buf_view(&ch->properties)),
                    &ch->consumers[ch->arriving_consumer].next, *c->world.now);
    else
        hold = ledger_received(c->world.ledger, h, ch->scope);
    verdict_note("client %u.%u has message %u of %s, tag %llu%s", c->number, ch->number, h->message,
                 c->world.topology->queues[h->queue].name, (unsigned long long)ch->arriving_tag,
                 h->redelivered ? ", again" : "");
    if (h->no_ack)
        return;
    *GROW(ch->held, ch->held_count) =
        (struct held){.tag = ch->arriving_tag, .hold = hold, .consumer = ch->arriving_consumer};
    if (ch->arriving_consumer != NO_CONSUMER)
        check_limits(c, ch, ch->arriving_consumer);
}

static void on_returned(struct client *c, struct sim_channel *ch)
{
    uint32_t message = check_body(c, buf_view(&ch->body));
    ledger_returned(c->world.ledger, message);
    for (size_t i = 0; i < ch->confirm_count; i++)
        if (ch->confirms[i].message == message) {
            if (ch->confirms[i].is_answered)
                verdict_fail("client %u.%u: message %u came back after its confirm", c->number, ch->number, message);
            ch->confirms[i].wants_return = false;
        }
}

/* ---- Confirms. */

static void confirm_one(struct client *c, struct sim_channel *ch, uint64_t number, bool refused)
{
    struct confirm *f = &ch->confirms[number - 1];
    if (f->wants_return)
        verdict_fail("client %u.%u: publish %llu was confirmed before it came back", c->number, ch->number,
                     (unsigned long long)number);
    f->is_answered = true;
    if (refused)
        ledger_refused(c->world.ledger, f->message);
    else
        ledger_confirmed(c->world.ledger, f->message, *c->world.now);
    mark_hit(refused ? MARK_refused : MARK_confirmed);
}

static void on_confirm(struct client *c, struct sim_channel *ch, uint64_t number, bool multiple, bool refused)
{
    if (number == 0 || number > ch->confirm_count || ch->confirms[number - 1].is_answered)
        verdict_fail("client %u.%u: publish %llu of %zu was confirmed, unsent or a second time", c->number, ch->number,
                     (unsigned long long)number, ch->confirm_count);
    for (uint64_t n = multiple ? 1 : number; n < number; n++)
        if (!ch->confirms[n - 1].is_answered) {
            confirm_one(c, ch, n, refused);
            mark_hit(MARK_confirmed_many);
        }
    confirm_one(c, ch, number, refused);
}

/* ---- Answers and announcements of a channel. */

static void on_recovered(struct client *c, struct sim_channel *ch)
{
    take_answer(c, ch, METHOD_basic_recover_ok);
    for (size_t i = 0; i < ch->held_count; i++)
        ledger_settled(c->world.ledger, &ch->held[i].hold, REQUEUED);
    if (ch->held_count > 0)
        ch->void_tag = ch->held[ch->held_count - 1].tag;
    ch->held_count = 0;
    ch->recovering = false;
    if (!ch->is_risky && !ch->is_doomed && ch->state == CHANNEL_IN_USE && c->state == CLIENT_OPEN && !c->is_doomed)
        ch->scope = ledger_scope(c->world.ledger); /* what comes now stays, until something else happens */
}

static void on_server_cancel(struct client *c, struct sim_channel *ch, struct bytes tag)
{
    uint8_t number;
    struct sim_consumer *k = find_consumer(ch, tag, &number);
    if (k == NULL || k->state != CONSUMER_LIVE || k->queue != Q_PASSING || !c->learns_of_cancels)
        verdict_fail("client %u.%u: %.*s was cancelled out of the blue", c->number, ch->number, BYTES_ARG(tag));
    k->state = CONSUMER_GONE;
    mark_hit(MARK_queue_deleted);
}

static void on_server_close(struct client *c, struct sim_channel *ch, const struct channel_close *m)
{
    bool crossed = ch->state == CHANNEL_ENDING;
    verdict_note("client %u.%u is told: %.*s", c->number, ch->number, BYTES_ARG(m->reply_text));
    if (!ch->is_doomed && !ch->is_risky && !c->is_doomed)
        verdict_fail("client %u.%u: closed out of the blue: %.*s", c->number, ch->number, BYTES_ARG(m->reply_text));
    if (ch->crossed)
        verdict_fail("client %u.%u: closed twice", c->number, ch->number);
    mark_hit(MARK_channel_error);
    if (bytes_equal(m->reply_text, BYTES("PRECONDITION_FAILED - partial tx completion")))
        mark_hit(MARK_tx_refused);
    client_send(c, ch->number, &(union method){.channel_close_ok = {.id = METHOD_channel_close_ok}});
    if (!crossed) {
        channel_over(c, ch);
        return;
    }
    mark_hit(MARK_close_crossed);
    channel_forget_tx(c, ch);
    ch->crossed = true;
    ch->awaited_count = ch->doubt_count = ch->held_count = ch->confirm_count = 0;
    channel_expect(ch, METHOD_channel_close_ok, 0, false);
}

static void on_consume_ok(struct client *c, struct sim_channel *ch, struct bytes tag)
{
    struct awaited a = take_answer(c, ch, METHOD_basic_consume_ok);
    struct sim_consumer *k = &ch->consumers[a.detail];
    if (!bytes_equal(tag, bytes_of_string(k->tag)))
        verdict_fail("client %u.%u: consume-ok for %.*s", c->number, ch->number, BYTES_ARG(tag));
    k->state = CONSUMER_LIVE;
}

static void on_cancel_ok(struct client *c, struct sim_channel *ch)
{
    struct awaited a = take_answer(c, ch, METHOD_basic_cancel_ok);
    ch->consumers[a.detail].state = CONSUMER_GONE;
    ch->consumers[a.detail].is_leaving = false;
}

static void on_purge_ok(struct client *c, struct sim_channel *ch, uint32_t count)
{
    struct awaited a = take_answer(c, ch, METHOD_queue_purge_ok);
    ledger_purge_ends(c->world.ledger, (uint8_t)a.detail, a.detail >> 8, *c->world.now);
    if (count > 0)
        mark_hit(MARK_purged);
}

static void on_declare_ok(struct client *c, uint32_t queue, uint32_t count)
{
    if (queue < NOTE_DETAIL)
        c->seen_counts[queue] = count;
}

static void begin_content(struct sim_channel *ch, uint32_t id)
{
    ch->has_method = true;
    ch->has_header = false;
    ch->content_method = id;
    buf_clear(&ch->body);
    buf_clear(&ch->properties);
}

/* What comes unasked; false: it is an answer. */
static bool on_announcement(struct client *c, struct sim_channel *ch, const union method *m)
{
    switch ((int)m->id) {
    case METHOD_basic_deliver:
        on_deliver(c, ch, &m->basic_deliver);
        begin_content(ch, m->id);
        return true;
    case METHOD_basic_return:
        begin_content(ch, m->id);
        return true;
    case METHOD_basic_ack:
        on_confirm(c, ch, m->basic_ack.delivery_tag, m->basic_ack.multiple, false);
        return true;
    case METHOD_basic_nack:
        on_confirm(c, ch, m->basic_nack.delivery_tag, m->basic_nack.multiple, true);
        return true;
    case METHOD_basic_cancel:
        on_server_cancel(c, ch, m->basic_cancel.consumer_tag);
        return true;
    case METHOD_channel_close:
        on_server_close(c, ch, &m->channel_close);
        return true;
    default:
        return false;
    }
}

static void on_answer(struct client *c, struct sim_channel *ch, const union method *m)
{
    switch ((int)m->id) {
    case METHOD_basic_get_ok:
        on_get_ok(c, ch, &m->basic_get_ok);
        begin_content(ch, m->id);
        break;
    case METHOD_basic_get_empty:
        take_answer(c, ch, METHOD_basic_get_ok);
        break;
    case METHOD_basic_consume_ok:
        on_consume_ok(c, ch, m->basic_consume_ok.consumer_tag);
        break;
    case METHOD_basic_cancel_ok:
        on_cancel_ok(c, ch);
        break;
    case METHOD_basic_recover_ok:
        on_recovered(c, ch);
        break;
    case METHOD_basic_qos_ok:
        take_answer(c, ch, m->id);
        ch->qos_pending--;
        break;
    case METHOD_queue_purge_ok:
        on_purge_ok(c, ch, m->queue_purge_ok.message_count);
        break;
    case METHOD_queue_declare_ok:
        on_declare_ok(c, take_answer(c, ch, m->id).detail, m->queue_declare_ok.message_count);
        break;
    case METHOD_tx_commit_ok:
        ledger_tx_done(c->world.ledger, take_answer(c, ch, m->id).detail);
        break;
    case METHOD_channel_close_ok:
        take_answer(c, ch, m->id);
        channel_over(c, ch);
        break;
    default:
        take_answer(c, ch, m->id);
        break;
    }
}

static void on_channel_method(struct client *c, struct sim_channel *ch, const union method *m)
{
    if (ch->has_method)
        verdict_fail("client %u.%u: %s inside a content", c->number, ch->number, method_find(m->id)->name);
    if (ch->crossed && m->id != METHOD_channel_close_ok)
        verdict_fail("client %u.%u: %s after close", c->number, ch->number, method_find(m->id)->name);
    if (!on_announcement(c, ch, m))
        on_answer(c, ch, m);
}

/* ---- Contents. */

static void content_done(struct client *c, struct sim_channel *ch)
{
    if (buf_len(&ch->body) < ch->body_size)
        return;
    ch->has_method = false;
    if (ch->content_method == METHOD_basic_return)
        on_returned(c, ch);
    else
        on_message(c, ch);
}

static void on_content(struct client *c, struct sim_channel *ch, const struct frame *f)
{
    if (!ch->has_method || ch->has_header != (f->type == FRAME_BODY))
        verdict_fail("client %u.%u: frame %u out of turn", c->number, ch->number, f->type);
    if (f->type == FRAME_HEADER) {
        struct cursor h = cursor_over(f->payload);
        cursor_u32(&h);
        ch->body_size = cursor_u64(&h);
        buf_add(&ch->properties, cursor_take(&h, cursor_left(&h)));
        ch->has_header = true;
    } else {
        buf_add(&ch->body, f->payload);
    }
    content_done(c, ch);
}

/* ---- Connection. */

static void on_connection_method(struct client *c, const union method *m)
{
    switch ((int)m->id) {
    case METHOD_connection_start:
    case METHOD_connection_tune:
    case METHOD_connection_open_ok:
        client_on_greeting(c, m);
        break;
    case METHOD_connection_close:
        verdict_note("client %u is told: %.*s", c->number, BYTES_ARG(m->connection_close.reply_text));
        if (!c->is_doomed)
            verdict_fail("client %u: %.*s", c->number, BYTES_ARG(m->connection_close.reply_text));
        mark_hit(MARK_connection_error);
        client_send(c, 0, &(union method){.connection_close_ok = {.id = METHOD_connection_close_ok}});
        c->state = CLIENT_CLOSED;
        break;
    case METHOD_connection_close_ok:
        if (c->state != CLIENT_CLOSING && c->state != CLIENT_CLOSED)
            verdict_fail("client %u: close-ok out of the blue", c->number);
        c->state = CLIENT_CLOSED;
        break;
    default:
        verdict_fail("client %u: %s on channel 0", c->number, method_find(m->id)->name);
    }
}

static void on_frame(struct client *c, const struct frame *f)
{
    union method m = {.id = 0};
    struct sim_channel *ch = client_channel(c, f->channel);
    if (f->type == FRAME_HEARTBEAT)
        return;
    if (f->type == FRAME_METHOD && method_decode(f->payload, &m) != METHOD_OK)
        verdict_fail("client %u: a method that cannot be read", c->number);
    if (c->state == CLIENT_CLOSED && m.id != METHOD_connection_close_ok)
        verdict_fail("client %u: %s after connection.close", c->number,
                     m.id != 0 ? method_find(m.id)->name : "content");
    if (f->channel == 0) {
        on_connection_method(c, &m);
    } else if (ch == NULL) {
        if (!c->is_doomed || m.id != METHOD_channel_open_ok)
            verdict_fail("client %u: a frame on channel %u", c->number, f->channel);
    } else if (ch->state == CHANNEL_NONE) {
        verdict_fail("client %u: a frame on channel %u, which is closed", c->number, f->channel);
    } else if (f->type == FRAME_METHOD) {
        on_channel_method(c, ch, &m);
    } else {
        on_content(c, ch, f);
    }
}

void client_read(struct client *c)
{
    struct frame f;
    size_t used;
    enum frame_verdict verdict;
    while (c->state != CLIENT_AWAY && (verdict = frame_cut(buf_view(&c->down), 4096, &f, &used)) != FRAME_SHORT) {
        if (verdict != FRAME_OK)
            verdict_fail("client %u: a malformed frame", c->number);
        on_frame(c, &f);
        buf_drop(&c->down, used);
    }
}
