#include <stdio.h>
#include <string.h>

#include "codec/frame.h"
#include "codec/properties.h"
#include "codec/table.h"
#include "tests/sim/client.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

enum { BODY_FRAME_MAX = 4000, HUGE_BODY = 200 * 1024, PRIORITIES = 7 /* more than any queue tells apart */ };

static struct bytes queue_name(const struct client *c, uint8_t q)
{
    return bytes_of_string(c->world.topology->queues[q].name);
}

static uint8_t any_queue(const struct client *c)
{
    if (c->world.likes_log && rng_one_in(c->world.rng, 3))
        return Q_LOG;
    return (uint8_t)rng_below(c->world.rng, QUEUE_COUNT);
}

/* What was sent may be refused: what this channel holds may come back. */
static void channel_risks(const struct client *c, struct sim_channel *ch)
{
    ch->is_risky = true;
    ledger_scope_ends(c->world.ledger, ch->scope);
}

static void channel_doom(struct client *c, struct sim_channel *ch)
{
    ch->is_doomed = true;
    channel_risks(c, ch);
    channel_forget_tx(c, ch);
}

/* ---- Publishing. */

static size_t body_length(const struct client *c)
{
    struct rng *r = c->world.rng;
    if (c->world.is_heavy && rng_one_in(r, 3)) {
        mark_hit(MARK_huge_body);
        return 60 * 1024 + rng_below(r, HUGE_BODY);
    }
    if (rng_one_in(r, 12)) {
        mark_hit(MARK_big_body);
        return BODY_FRAME_MAX + rng_below(r, 20000);
    }
    return BODY_HEAD + rng_below(r, 100);
}

struct aim {
    struct bytes exchange, key;
    uint8_t targets[2];
    uint32_t ttl_ms, delay_ms;
    uint8_t priority;
    bool mandatory, is_fault, is_transient;
};

static void send_header(struct client *c, uint16_t channel, size_t length, const struct aim *aim)
{
    uint8_t room[256], headers_room[32];
    char expiration[16];
    struct pen p = pen_over(room, sizeof room), h = pen_over(headers_room, sizeof headers_room);
    struct properties props = {.flags = PROPERTY_delivery_mode, .delivery_mode = aim->is_transient ? 1 : 2};
    uint8_t *mark = frame_open(&p, FRAME_HEADER, channel);
    if (aim->ttl_ms > 0) {
        snprintf(expiration, sizeof expiration, "%u", aim->ttl_ms);
        props.flags |= PROPERTY_expiration;
        props.expiration = bytes_of_string(expiration);
    }
    if (aim->priority > 0) {
        props.flags |= PROPERTY_priority;
        props.priority = aim->priority;
    }
    if (aim->delay_ms > 0) {
        table_put_i32(&h, BYTES("x-delay"), (int32_t)aim->delay_ms);
        props.flags |= PROPERTY_headers;
        props.headers = pen_written(&h);
    }
    pen_u16(&p, 60);
    pen_u16(&p, 0);
    pen_u64(&p, length);
    properties_encode(&p, &props);
    frame_close(&p, mark);
    buf_add(&c->up, pen_written(&p));
}

/* A body that says whose it is, and that can be checked to the last byte. */
static void send_body(struct client *c, const struct sim_channel *ch, uint32_t message, size_t length)
{
    uint8_t *body = alloc(length + FRAME_OVERHEAD), room[BODY_FRAME_MAX + FRAME_OVERHEAD];
    struct pen p = pen_over(body, length);
    pen_u32(&p, message);
    pen_u32(&p, ch->publisher);
    pen_u32(&p, ch->sequence);
    pen_u32(&p, (uint32_t)length);
    for (size_t i = BODY_HEAD; i < length; i++)
        body[i] = (uint8_t)(message + i);
    for (size_t at = 0; at < length;) {
        size_t n = length - at < BODY_FRAME_MAX ? length - at : BODY_FRAME_MAX;
        struct pen f = pen_over(room, sizeof room);
        uint8_t *mark = frame_open(&f, FRAME_BODY, ch->number);
        pen_bytes(&f, bytes_of(body + at, n));
        frame_close(&f, mark);
        buf_add(&c->up, pen_written(&f));
        at += n;
    }
    free(body);
}

/* How the message stands that is about to be sent, and what would change that. */
static uint32_t record_publish(struct client *c, struct sim_channel *ch, const struct aim *aim)
{
    bool in_vain = ch->is_doomed || aim->is_fault;
    struct publishing how = {.publisher = ch->publisher, .sequence = ++ch->sequence, .ttl_ms = aim->ttl_ms};
    how.targets[0] = aim->targets[0];
    how.targets[1] = aim->targets[1];
    how.standing = in_vain || ch->mode == MODE_TX ? STANDING_NEVER : STANDING_SENT;
    how.is_transient = aim->is_transient;
    how.priority = aim->priority;
    how.delay_ms = aim->delay_ms;
    uint32_t message = ledger_publish(c->world.ledger, &how, *c->world.now);
    if (in_vain) {
        if (!aim->is_fault)
            mark_hit(MARK_poisoned_publish);
        return message;
    }
    bool unroutable = aim->targets[0] == NO_QUEUE;
    if (ch->mode == MODE_CONFIRM)
        *GROW(ch->confirms, ch->confirm_count) =
            (struct confirm){.message = message, .wants_return = aim->mandatory && unroutable};
    else if (ch->mode == MODE_TX)
        *GROW(ch->tx_publishes, ch->tx_count) = message;
    else if (!unroutable && !c->world.topology->queues[aim->targets[0]].refuses)
        channel_doubt(ch, &(struct doubt){.op = ++ch->op, .message = message});
    return message;
}

static void publish(struct client *c, struct sim_channel *ch, const struct aim *aim)
{
    size_t length = body_length(c);
    uint32_t message = record_publish(c, ch, aim);
    client_send(c, ch->number,
                &(union method){.basic_publish = {.id = METHOD_basic_publish,
                                                  .exchange = aim->exchange,
                                                  .routing_key = aim->key,
                                                  .mandatory = aim->mandatory}});
    send_header(c, ch->number, length, aim);
    send_body(c, ch, message, length);
    verdict_note("    message %u to '%.*s' '%.*s', %zu bytes, priority %u", message, BYTES_ARG(aim->exchange),
                 BYTES_ARG(aim->key), length, aim->priority);
}

static void act_publish(struct client *c, struct sim_channel *ch)
{
    struct rng *r = c->world.rng;
    struct aim aim = {.targets = {NO_QUEUE, NO_QUEUE}, .mandatory = rng_one_in(r, 4)};
    aim.is_transient = c->world.is_mixed && rng_one_in(r, 4);
    unsigned what = rng_below(r, 24);
    bool delays = false;
    if (what == 0) {
        aim.key = BYTES("nowhere");
    } else if (what <= 3) {
        aim.exchange = BYTES("fan");
        aim.targets[0] = Q_PLAIN;
        aim.targets[1] = Q_TWIN;
        mark_hit(MARK_both_copies);
    } else if (what <= 5) {
        aim.exchange = BYTES("later");
        aim.targets[0] = Q_LATE;
        aim.key = queue_name(c, Q_LATE);
        delays = true;
    } else {
        bool is_refused = ch->mode == MODE_TX && rng_one_in(r, 8); /* seldom otherwise, among so many queues */
        aim.targets[0] = is_refused ? (uint8_t)Q_FULL : any_queue(c);
        aim.key = queue_name(c, aim.targets[0]);
    }
    /* A message that expires in Q_WORK and then in Q_RETRY would have gone in a circle, and vanishes. */
    if (what == 6 && aim.targets[0] != Q_PASSING && aim.targets[0] != Q_WORK &&
        c->world.topology->queues[aim.targets[0]].max_length == 0)
        aim.ttl_ms = 1 + rng_below(r, 200);
    for (unsigned n = 1 + (rng_one_in(r, 6) ? rng_below(r, 12) : 0); n > 0; n--) {
        aim.priority = rng_one_in(r, 3) ? (uint8_t)rng_below(r, PRIORITIES) : 0;
        aim.delay_ms = delays ? rng_below(r, DELAY_MAX_MS) : 0;
        publish(c, ch, &aim);
    }
}

/* ---- Settling. */

static bool is_settleable(const struct held *h)
{
    return !h->in_tx;
}

/* Held[i] is settled by what was just sent. */
static void settle_one(struct client *c, struct sim_channel *ch, size_t i, enum outcome outcome)
{
    struct held *h = &ch->held[i];
    if (ch->mode == MODE_TX) {
        h->in_tx = true;
        h->outcome = outcome;
        return;
    }
    if (ch->is_doomed) {
        mark_hit(MARK_poisoned_ack);
    } else {
        ledger_settle(c->world.ledger, &h->hold, outcome);
        channel_doubt(ch, &(struct doubt){.op = ch->op, .is_settlement = true, .hold = h->hold, .outcome = outcome});
    }
    memmove(h, h + 1, (ch->held_count - i - 1) * sizeof *h);
    ch->held_count--;
}

static void mark_settling(enum outcome outcome, bool multiple, bool all)
{
    if (outcome == ACCEPTED && multiple)
        mark_hit(all ? MARK_ack_all : MARK_ack_many);
    else if (outcome == REQUEUED)
        mark_hit(multiple ? MARK_requeue_many : MARK_requeue_one);
    else if (outcome == REJECTED)
        mark_hit(MARK_reject);
}

static void send_settlement(struct client *c, struct sim_channel *ch, uint64_t tag, enum outcome outcome, bool multiple)
{
    bool requeue = outcome == REQUEUED;
    if (outcome == ACCEPTED)
        client_send(c, ch->number,
                    &(union method){.basic_ack = {.id = METHOD_basic_ack, .delivery_tag = tag, .multiple = multiple}});
    else if (!multiple && rng_one_in(c->world.rng, 2))
        client_send(
            c, ch->number,
            &(union method){.basic_reject = {.id = METHOD_basic_reject, .delivery_tag = tag, .requeue = requeue}});
    else
        client_send(c, ch->number,
                    &(union method){
                        .basic_nack = {
                            .id = METHOD_basic_nack, .delivery_tag = tag, .multiple = multiple, .requeue = requeue}});
    verdict_note("    tag %llu, outcome %d, multiple %d", (unsigned long long)tag, (int)outcome, multiple);
}

static void act_settle(struct client *c, struct sim_channel *ch)
{
    struct rng *r = c->world.rng;
    enum outcome outcome = rng_one_in(r, 3) ? REQUEUED : rng_one_in(r, 3) ? REJECTED : ACCEPTED;
    bool multiple = rng_one_in(r, 3), all = multiple && rng_one_in(r, 2);
    if (ch->recovering || ch->held_count == 0)
        return;
    size_t at = rng_below(r, (uint32_t)ch->held_count);
    if (!is_settleable(&ch->held[at]))
        return;
    uint64_t tag = ch->held[at].tag;
    if (all) /* what is on its way to us would be settled unseen: only with nothing to come */
        for (uint8_t k = 0; k < CONSUMERS; k++)
            if (ch->consumers[k].state != CONSUMER_NONE && ch->consumers[k].state != CONSUMER_GONE)
                return;
    if (all && (ch->awaited_count > 0 || ch->has_method))
        return;
    send_settlement(c, ch, all ? 0 : tag, outcome, multiple);
    mark_settling(outcome, multiple, all);
    ch->op++;
    for (size_t i = ch->held_count; i-- > 0;)
        if (is_settleable(&ch->held[i]) && (all || ch->held[i].tag == tag || (multiple && ch->held[i].tag < tag)))
            settle_one(c, ch, i, outcome);
}

static void act_recover(struct client *c, struct sim_channel *ch)
{
    if (ch->mode == MODE_TX || ch->recovering)
        return;
    if (ch->held_count > 0)
        mark_hit(MARK_recover);
    ch->recovering = true;
    for (size_t i = 0; i < ch->held_count; i++)
        ledger_settle(c->world.ledger, &ch->held[i].hold, REQUEUED);
    ledger_scope_ends(c->world.ledger, ch->scope); /* what is on its way to us goes back too */
    client_send(c, ch->number, &(union method){.basic_recover = {.id = METHOD_basic_recover, .requeue = true}});
    channel_expect(ch, METHOD_basic_recover_ok, 0, true);
}

/* ---- Consuming. */

/* Where a consumer of the stream begins.  False: it may not, without a limit. */
static bool choose_offset(struct client *c, const struct sim_channel *ch, struct sim_consumer *consumer, struct pen *p)
{
    struct rng *r = c->world.rng;
    bool keeps_all = c->world.topology->queues[Q_LOG].keep_bytes == 0;
    if (ch->prefetch == 0) {
        consumer->state = CONSUMER_NONE;
        return false;
    }
    consumer->no_ack = false;
    consumer->limit = ch->prefetch;
    consumer->next = UINT64_MAX;
    uint32_t what = rng_below(r, 4);
    if (what == 0) {
        table_put_string(p, BYTES("x-stream-offset"), BYTES("first"));
        consumer->next = keeps_all ? 0 : UINT64_MAX;
    } else if (what == 1) {
        consumer->next = rng_below(r, 40);
        table_put_i64(p, BYTES("x-stream-offset"), (int64_t)consumer->next);
    } else if (what == 2) {
        table_put_string(p, BYTES("x-stream-offset"), BYTES("last"));
    }
    return true;
}

static void act_consume(struct client *c, struct sim_channel *ch)
{
    struct rng *r = c->world.rng;
    uint8_t k = (uint8_t)rng_below(r, CONSUMERS);
    struct sim_consumer *consumer = &ch->consumers[k];
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    bool is_free = consumer->state == CONSUMER_GONE && !consumer->is_leaving && channel_held_by(ch, k) == 0;
    if (consumer->state != CONSUMER_NONE && !is_free)
        return;
    *consumer = (struct sim_consumer){.state = CONSUMER_ASKED, .queue = any_queue(c), .no_ack = rng_one_in(r, 5)};
    consumer->limit = consumer->no_ack ? 0 : ch->prefetch;
    if (consumer->queue == Q_LOG && !choose_offset(c, ch, consumer, &p))
        return;
    snprintf(consumer->tag, sizeof consumer->tag, "c%u-%u", k, ch->tags_made++);
    if (consumer->queue != Q_LOG && rng_one_in(r, 4))
        table_put_i32(&p, BYTES("x-priority"), (int32_t)rng_below(r, 3) - 1);
    if (consumer->queue == Q_PASSING)
        channel_risks(c, ch);
    client_send(c, ch->number,
                &(union method){.basic_consume = {.id = METHOD_basic_consume,
                                                  .queue = queue_name(c, consumer->queue),
                                                  .consumer_tag = bytes_of_string(consumer->tag),
                                                  .no_ack = consumer->no_ack,
                                                  .arguments = pen_written(&p)}});
    channel_expect(ch, METHOD_basic_consume_ok, k, true);
}

static void act_cancel(struct client *c, struct sim_channel *ch)
{
    uint8_t k = (uint8_t)rng_below(c->world.rng, CONSUMERS);
    struct sim_consumer *consumer = &ch->consumers[k];
    if (consumer->is_leaving || (consumer->state != CONSUMER_ASKED && consumer->state != CONSUMER_LIVE))
        return;
    if (channel_held_by(ch, k) > 0)
        mark_hit(MARK_cancelled_with_unacked);
    consumer->is_leaving = true;
    client_send(
        c, ch->number,
        &(union method){.basic_cancel = {.id = METHOD_basic_cancel, .consumer_tag = bytes_of_string(consumer->tag)}});
    channel_expect(ch, METHOD_basic_cancel_ok, k, true);
}

static void ask_get(struct client *c, struct sim_channel *ch, uint8_t queue, bool no_ack)
{
    client_send(
        c, ch->number,
        &(union method){.basic_get = {.id = METHOD_basic_get, .queue = queue_name(c, queue), .no_ack = no_ack}});
    channel_expect(ch, METHOD_basic_get_ok, (uint32_t)queue | (no_ack ? 0x100U : 0), true);
}

static void act_get(struct client *c, struct sim_channel *ch)
{
    uint8_t queue = any_queue(c);
    if (queue == Q_LOG) /* which is no way to read it */
        return;
    if (queue == Q_PASSING)
        channel_risks(c, ch);
    ask_get(c, ch, queue, rng_one_in(c->world.rng, 4));
}

static void act_qos(struct client *c, struct sim_channel *ch)
{
    struct rng *r = c->world.rng;
    bool global = rng_one_in(r, 2);
    uint16_t count = (uint16_t)(rng_one_in(r, 4) ? 0 : 1 + rng_below(r, 5));
    uint32_t limit = global ? count : 0;
    if (ch->qos_pending > 0) /* one at a time, so that it is known which limits may hold */
        return;
    if (limit > 0 && limit < channel_held_by(ch, NO_CONSUMER))
        mark_hit(MARK_limit_lowered);
    if (!global)
        ch->prefetch = count;
    ch->limit_before = ch->limit;
    ch->limit = limit;
    ch->qos_pending++;
    client_send(c, ch->number,
                &(union method){.basic_qos = {.id = METHOD_basic_qos, .prefetch_count = count, .global = global}});
    channel_expect(ch, METHOD_basic_qos_ok, 0, false);
}

/* ---- Modes. */

static void act_mode(struct client *c, struct sim_channel *ch)
{
    if (ch->mode != MODE_PLAIN || ch->is_doomed)
        return;
    if (c->world.likes == MODE_PLAIN ? rng_one_in(c->world.rng, 2) : c->world.likes == MODE_CONFIRM) {
        client_send(c, ch->number, &(union method){.confirm_select = {.id = METHOD_confirm_select}});
        channel_expect(ch, METHOD_confirm_select_ok, 0, false);
        ch->mode = MODE_CONFIRM;
    } else if (!ch->recovering) {
        client_send(c, ch->number, &(union method){.tx_select = {.id = METHOD_tx_select}});
        channel_expect(ch, METHOD_tx_select_ok, 0, false);
        ch->mode = MODE_TX;
    }
}

static uint32_t record_tx(const struct client *c, const struct sim_channel *ch)
{
    struct tx_settlement *settlements = NULL;
    size_t n = 0;
    for (size_t i = 0; i < ch->held_count; i++)
        if (ch->held[i].in_tx)
            *GROW(settlements, n) = (struct tx_settlement){.hold = ch->held[i].hold, .outcome = ch->held[i].outcome};
    uint32_t tx = ledger_tx(c->world.ledger, ch->tx_publishes, ch->tx_count, settlements, n);
    free(settlements);
    return tx;
}

static void act_commit(struct client *c, struct sim_channel *ch)
{
    size_t published = ch->tx_count, settled = 0;
    if (ch->mode != MODE_TX || ch->is_doomed || c->is_doomed)
        return;
    client_send(c, ch->number, &(union method){.tx_commit = {.id = METHOD_tx_commit}});
    channel_expect(ch, METHOD_tx_commit_ok, record_tx(c, ch), true);
    channel_risks(c, ch); /* a full queue may refuse */
    for (size_t i = 0; i < ch->tx_count; i++) {
        ledger_stands(c->world.ledger, ch->tx_publishes[i], STANDING_SENT, *c->world.now);
        channel_doubt(ch, &(struct doubt){.op = ch->op, .message = ch->tx_publishes[i]});
    }
    ch->tx_count = 0;
    for (size_t i = ch->held_count; i-- > 0;) {
        struct held *h = &ch->held[i];
        if (!h->in_tx)
            continue;
        settled++;
        ledger_settle(c->world.ledger, &h->hold, h->outcome);
        channel_doubt(ch, &(struct doubt){.op = ch->op, .is_settlement = true, .hold = h->hold, .outcome = h->outcome});
        memmove(h, h + 1, (ch->held_count - i - 1) * sizeof *h);
        ch->held_count--;
    }
    if (published > 0 && settled > 0)
        mark_hit(MARK_tx_commit);
}

static void act_rollback(struct client *c, struct sim_channel *ch)
{
    if (ch->mode != MODE_TX || ch->is_doomed || c->is_doomed)
        return;
    if (ch->tx_count > 0)
        mark_hit(MARK_tx_rollback);
    channel_forget_tx(c, ch);
    for (size_t i = 0; i < ch->held_count; i++) {
        if (ch->held[i].in_tx)
            mark_hit(MARK_tx_rollback_ack);
        ch->held[i].in_tx = false;
    }
    client_send(c, ch->number, &(union method){.tx_rollback = {.id = METHOD_tx_rollback}});
    channel_expect(ch, METHOD_tx_rollback_ok, 0, true);
}

/* ---- Queues. */

static void put_arguments(struct pen *p, const struct sim_queue *q)
{
    if (q->max_length > 0)
        table_put_i32(p, BYTES("x-max-length"), (int32_t)q->max_length);
    if (q->refuses || q->must_arrive)
        table_put_string(p, BYTES("x-overflow"), BYTES("reject-publish"));
    if (q->must_arrive)
        table_put_string(p, BYTES("x-dead-letter-strategy"), BYTES("at-least-once"));
    if (q->ttl_ms > 0)
        table_put_i32(p, BYTES("x-message-ttl"), (int32_t)q->ttl_ms);
    if (q->max_priority > 0)
        table_put_i32(p, BYTES("x-max-priority"), q->max_priority);
    if (q->is_single)
        table_put_bool(p, BYTES("x-single-active-consumer"), true);
    if (q->is_quorum)
        table_put_string(p, BYTES("x-queue-type"), BYTES("quorum"));
    if (q->is_stream) {
        table_put_string(p, BYTES("x-queue-type"), BYTES("stream"));
        table_put_i32(p, BYTES("x-stream-max-segment-size-bytes"), (int32_t)q->segment_bytes);
    }
    if (q->keep_bytes > 0)
        table_put_i32(p, BYTES("x-max-length-bytes"), (int32_t)q->keep_bytes);
    if (q->has_return_limit)
        table_put_i32(p, BYTES("x-delivery-limit"), (int32_t)q->return_limit);
    if (q->letters_exchange != NULL)
        table_put_string(p, BYTES("x-dead-letter-exchange"), bytes_of_string(q->letters_exchange));
    if (q->letters_key != NULL)
        table_put_string(p, BYTES("x-dead-letter-routing-key"), bytes_of_string(q->letters_key));
}

static void declare(struct client *c, struct sim_channel *ch, uint8_t queue, bool passive)
{
    const struct sim_queue *q = &c->world.topology->queues[queue];
    uint8_t room[512];
    struct pen p = pen_over(room, sizeof room);
    put_arguments(&p, q);
    client_send(c, ch->number,
                &(union method){.queue_declare = {.id = METHOD_queue_declare,
                                                  .queue = queue_name(c, queue),
                                                  .passive = passive,
                                                  .durable = q->is_durable,
                                                  .auto_delete = q->is_passing,
                                                  .arguments = pen_written(&p)}});
    channel_expect(ch, METHOD_queue_declare_ok, queue, true);
}

static void act_declare(struct client *c, struct sim_channel *ch)
{
    declare(c, ch, rng_one_in(c->world.rng, 3) ? (uint8_t)Q_PASSING : any_queue(c), false);
}

static void purge(struct client *c, struct sim_channel *ch, uint8_t queue)
{
    if (queue == Q_PASSING)
        channel_risks(c, ch);
    uint32_t purge = ledger_purge_begins(c->world.ledger, queue, *c->world.now);
    client_send(c, ch->number,
                &(union method){.queue_purge = {.id = METHOD_queue_purge, .queue = queue_name(c, queue)}});
    channel_expect(ch, METHOD_queue_purge_ok, (uint32_t)queue | purge << 8, true);
}

static void act_purge(struct client *c, struct sim_channel *ch)
{
    uint8_t queue = any_queue(c);
    if (rng_one_in(c->world.rng, 6) && !ch->is_doomed && !c->is_doomed && queue != Q_LOG)
        purge(c, ch, queue);
}

static void act_delete(struct client *c, struct sim_channel *ch)
{
    client_send(c, ch->number,
                &(union method){.queue_delete = {.id = METHOD_queue_delete, .queue = queue_name(c, Q_PASSING)}});
    channel_expect(ch, METHOD_queue_delete_ok, 0, true);
}

/* ---- Ends and faults. */

static void act_close(struct client *c, struct sim_channel *ch)
{
    if (ch->held_count > 0)
        mark_hit(MARK_close_with_unacked);
    if (ch->tx_count > 0)
        mark_hit(MARK_tx_lost);
    channel_forget_tx(c, ch);
    ledger_scope_ends(c->world.ledger, ch->scope);
    client_send(c, ch->number, &(union method){.channel_close = {.id = METHOD_channel_close, .reply_code = 200}});
    channel_expect(ch, METHOD_channel_close_ok, 0, !ch->is_risky);
    ch->state = CHANNEL_ENDING;
}

static void act_fault(struct client *c, struct sim_channel *ch)
{
    struct aim aim = {.exchange = BYTES("no such exchange"), .targets = {NO_QUEUE, NO_QUEUE}, .is_fault = true};
    uint64_t tag = ch->void_tag != 0 ? ch->void_tag : ch->last_tag + 100000;
    if (ch->is_doomed)
        return;
    switch (rng_below(c->world.rng, 4)) {
    case 0:
        client_send(c, ch->number, &(union method){.basic_ack = {.id = METHOD_basic_ack, .delivery_tag = tag}});
        mark_hit(MARK_unknown_tag);
        break;
    case 1:
        client_send(
            c, ch->number,
            &(union method){
                .queue_declare = {.id = METHOD_queue_declare, .queue = queue_name(c, Q_PLAIN), .auto_delete = true}});
        break;
    case 2:
        client_send(c, ch->number,
                    &(union method){.basic_consume = {.id = METHOD_basic_consume,
                                                      .queue = BYTES("no such queue"),
                                                      .consumer_tag = BYTES("lost")}});
        break;
    default:
        publish(c, ch, &aim);
        break;
    }
    channel_doom(c, ch);
}

/* What channels sent first may come after it. */
void client_expect_end(struct client *c)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        if (c->channels[i].state != CHANNEL_NONE)
            channel_risks(c, &c->channels[i]);
    c->is_doomed = true;
}

static void act_on_connection(struct client *c)
{
    struct rng *r = c->world.rng;
    unsigned what = rng_below(r, 12);
    if (what == 0 && !c->is_doomed) {
        client_expect_end(c);
        for (unsigned n = 0; n < 2; n++) /* the second is one too many, if the first was not */
            client_send(c, 7, &(union method){.channel_open = {.id = METHOD_channel_open}});
    } else if (what == 1 && !c->is_doomed) {
        for (unsigned i = 0; i < CHANNELS; i++)
            if (c->channels[i].held_count > 0)
                mark_hit(MARK_connection_closed);
        client_finish(c);
    } else if (what == 2) {
        c->wants_to_drop = true;
    } else if (what < 6) {
        c->is_reading = false;
    }
}

static const struct {
    void (*act)(struct client *c, struct sim_channel *ch);
    unsigned weight;
} acts[] = {
    {act_publish, 30}, {act_settle, 34}, {act_consume, 10}, {act_cancel, 3}, {act_get, 8},
    {act_qos, 5},      {act_recover, 2}, {act_mode, 3},     {act_commit, 5}, {act_rollback, 2},
    {act_declare, 3},  {act_purge, 1},   {act_delete, 1},   {act_close, 2},  {act_fault, 1},
};

void client_act(struct client *c)
{
    struct rng *r = c->world.rng;
    if (c->state != CLIENT_OPEN && !(c->state == CLIENT_GREETING && c->pipelines))
        return;
    if (c->state == CLIENT_OPEN && rng_one_in(r, 80)) {
        act_on_connection(c);
        return;
    }
    struct sim_channel *ch = &c->channels[rng_below(r, CHANNELS)];
    if (ch->state == CHANNEL_NONE && c->state == CLIENT_OPEN && !c->is_doomed)
        channel_start(c, ch);
    if (ch->state != CHANNEL_IN_USE)
        return;
    unsigned total = 0, i = 0;
    for (size_t k = 0; k < sizeof acts / sizeof acts[0]; k++)
        total += acts[k].weight;
    for (unsigned at = rng_below(r, total); at >= acts[i].weight; i++)
        at -= acts[i].weight;
    if (c->world.likes != MODE_PLAIN && ch->mode == MODE_PLAIN && rng_one_in(r, 3))
        act_mode(c, ch);
    else if (c->world.likes == MODE_TX && ch->mode == MODE_TX && rng_one_in(r, 6))
        act_commit(c, ch);
    else
        acts[i].act(c, ch);
}

/* ---- Certain things. */

void client_ask_passive(struct client *c, uint8_t queue)
{
    declare(c, &c->channels[0], queue, true);
}

void client_ask_get(struct client *c, uint8_t queue)
{
    ask_get(c, &c->channels[0], queue, true);
}

static void declare_later(struct client *c, struct sim_channel *ch)
{
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("x-delayed-type"), BYTES("direct"));
    client_send(c, ch->number,
                &(union method){.exchange_declare = {.id = METHOD_exchange_declare,
                                                     .exchange = BYTES("later"),
                                                     .durable = true,
                                                     .type = BYTES("x-delayed-message"),
                                                     .arguments = pen_written(&p)}});
    channel_expect(ch, METHOD_exchange_declare_ok, 0, true);
}

void client_declare_all(struct client *c)
{
    static const uint8_t fanned[] = {Q_PLAIN, Q_TWIN};
    struct sim_channel *ch = &c->channels[0];
    static const char *const exchanges[] = {"fan", "graves"};
    for (unsigned i = 0; i < 2; i++) {
        client_send(c, ch->number,
                    &(union method){.exchange_declare = {.id = METHOD_exchange_declare,
                                                         .exchange = bytes_of_string(exchanges[i]),
                                                         .durable = true,
                                                         .type = BYTES("fanout")}});
        channel_expect(ch, METHOD_exchange_declare_ok, 0, true);
    }
    declare_later(c, ch);
    for (uint8_t q = 0; q < QUEUE_COUNT; q++)
        declare(c, ch, q, false);
    client_send(c, ch->number,
                &(union method){.queue_bind = {.id = METHOD_queue_bind,
                                               .queue = queue_name(c, Q_LATE),
                                               .exchange = BYTES("later"),
                                               .routing_key = queue_name(c, Q_LATE)}});
    channel_expect(ch, METHOD_queue_bind_ok, 0, true);
    for (unsigned i = 0; i < 3; i++) {
        client_send(c, ch->number,
                    &(union method){.queue_bind = {.id = METHOD_queue_bind,
                                                   .queue = queue_name(c, i < 2 ? fanned[i] : Q_GRAVE),
                                                   .exchange = bytes_of_string(exchanges[i / 2])}});
        channel_expect(ch, METHOD_queue_bind_ok, 0, true);
    }
}

void client_declare_passing(struct client *c)
{
    declare(c, &c->channels[0], Q_PASSING, false);
}

void client_purge(struct client *c, uint8_t queue)
{
    purge(c, &c->channels[0], queue);
}

void client_read_log(struct client *c)
{
    struct sim_channel *ch = &c->channels[0];
    struct sim_consumer *k = &ch->consumers[0];
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("x-stream-offset"), BYTES("first"));
    *k = (struct sim_consumer){.state = CONSUMER_ASKED, .queue = Q_LOG, .limit = UINT16_MAX, .tag = "all"};
    k->next = c->world.topology->queues[Q_LOG].keep_bytes == 0 ? 0 : UINT64_MAX;
    client_send(c, ch->number, &(union method){.basic_qos = {.id = METHOD_basic_qos, .prefetch_count = UINT16_MAX}});
    ch->limit_before = ch->limit = 0;
    ch->qos_pending++;
    channel_expect(ch, METHOD_basic_qos_ok, 0, false);
    client_send(c, ch->number,
                &(union method){.basic_consume = {.id = METHOD_basic_consume,
                                                  .queue = queue_name(c, Q_LOG),
                                                  .consumer_tag = bytes_of_string(k->tag),
                                                  .arguments = pen_written(&p)}});
    channel_expect(ch, METHOD_basic_consume_ok, 0, true);
}

void client_delete_log(struct client *c)
{
    struct sim_channel *ch = &c->channels[0];
    ch->consumers[0].is_leaving = true;
    client_send(c, ch->number,
                &(union method){.basic_cancel = {.id = METHOD_basic_cancel,
                                                 .consumer_tag = bytes_of_string(ch->consumers[0].tag)}});
    channel_expect(ch, METHOD_basic_cancel_ok, 0, true);
    client_send(c, ch->number,
                &(union method){.queue_delete = {.id = METHOD_queue_delete, .queue = queue_name(c, Q_LOG)}});
    channel_expect(ch, METHOD_queue_delete_ok, 0, true);
}
