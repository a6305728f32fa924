/* Consumers, acknowledgements, confirms, returns, and transactions. */
#include "interop.h"
#include <string.h>

static void consume_ack(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    consume(ch, q, "the-tag", false);
    publish_many(ch, q, 100);
    for (unsigned i = 0; i < 100; i++) {
        struct message m = next(ch, numbered((int)i), false);
        check(m.tag == i + 1, "delivery tag %llu, not %u", (unsigned long long)m.tag, i + 1);
        check(strcmp(m.consumer, "the-tag") == 0, "consumer tag %s", m.consumer);
        came_from(&m, "", q);
        ack(ch, m.tag, false);
    }
    amqp_queue_declare_ok_t *ok = declare_passively(ch, q);
    answered(ch, "passive declare");
    check(ok->message_count == 0, "%u messages", ok->message_count);
    check(ok->consumer_count == 1, "%u consumers", ok->consumer_count);
    quiet(ch.conn);
    channel_shut(ch); /* what was not acknowledged would come back */
    empty(channel_on(ch.conn, 2), q);
}

static void consume_no_ack(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_many(ch, q, 100);
    consume(ch, q, "", true);
    for (int i = 0; i < 100; i++)
        next(ch, numbered(i), false);
    ready(ch, q, 0);
    quiet(ch.conn);
    channel_shut(ch);
    empty(channel_on(ch.conn, 2), q);
}

/* Takes a message from the queue and answers nothing. */
static void get_again(struct channel ch, const char *queue, int i, bool redelivered)
{
    struct message m = get(ch, queue, true, numbered(i));
    check(m.redelivered == redelivered, "message %d has redelivered=%d", i, m.redelivered);
}

static void nack_requeue(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_many(ch, q, 4);
    uint64_t tags[3];
    for (int i = 0; i < 3; i++)
        tags[i] = get(ch, q, false, numbered(i)).tag;
    nack(ch, tags[1], true);
    nack(ch, tags[0], true);
    get_again(ch, q, 0, true); /* both before message 3, in the order they had */
    get_again(ch, q, 1, true);
    get_again(ch, q, 3, false);
    empty(ch, q);
    nack(ch, tags[2], true);
    get_again(ch, q, 2, true);
}

static void reject_drop(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_many(ch, q, 2);
    reject(ch, get(ch, q, false, numbered(0)).tag);
    get(ch, q, true, numbered(1));
    empty(ch, q);
    channel_shut(ch);
    empty(channel_on(ch.conn, 2), q);
}

static void ack_multiple(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_many(ch, q, 11);
    consume(ch, q, "", false);
    uint64_t tenth = 0;
    for (int i = 0; i < 11; i++) {
        struct message m = next(ch, numbered(i), false);
        tenth = i == 9 ? m.tag : tenth;
    }
    ack(ch, tenth, true);
    channel_shut(ch);
    struct channel other = channel_on(ch.conn, 2);
    get_soon(other, q, numbered(10)); /* it alone was not acknowledged */
    empty(other, q);
}

static void ack_unknown(void)
{
    struct channel ch = channel_new();
    ack(ch, 99, false);
    closed(ch, AMQP_PRECONDITION_FAILED, "unknown delivery tag 99");
    alive(ch.conn, 2);
}

static void requeue_on_close(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_many(ch, q, 10);
    consume(ch, q, "", false);
    for (int i = 0; i < 10; i++)
        next(ch, numbered(i), false);
    ready(ch, q, 0);
    channel_shut(ch);
    struct channel other = channel_on(ch.conn, 2);
    ready_soon(other, q, 10);
    for (int i = 0; i < 10; i++)
        get_again(other, q, i, true);
    empty(other, q);
}

static void recover(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_many(ch, q, 3);
    consume(ch, q, "", false);
    ack(ch, next(ch, numbered(0), false).tag, false);
    next(ch, numbered(1), false);
    next(ch, numbered(2), false);
    amqp_basic_recover(ch.conn, ch.number, 1);
    answered(ch, "basic.recover");
    ack(ch, next(ch, numbered(1), true).tag, false);
    ack(ch, next(ch, numbered(2), true).tag, false);
    ready(ch, q, 0);
    quiet(ch.conn);
}

static void limit_unacked(struct channel ch, uint16_t count)
{
    amqp_basic_qos(ch.conn, ch.number, 0, count, 0);
    answered(ch, "basic.qos");
}

static void prefetch(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    publish_many(ch, q, 6);
    limit_unacked(ch, 3);
    consume(ch, q, "", false);
    uint64_t first = next(ch, numbered(0), false).tag;
    next(ch, numbered(1), false);
    next(ch, numbered(2), false);
    ready(ch, q, 3);
    quiet(ch.conn);
    ack(ch, first, false);
    next(ch, numbered(3), false);
    ready(ch, q, 2);
    quiet(ch.conn);
}

static void round_robin(void)
{
    struct channel publisher = channel_new();
    const char *q = queue_new(publisher);
    for (int i = 2; i <= 3; i++) {
        struct channel ch = channel_on(publisher.conn, i);
        limit_unacked(ch, 1);
        consume(ch, q, "", false);
    }
    publish_many(publisher, q, 10);
    struct channel on[2] = {publisher, publisher};
    struct message m[2];
    for (int i = 0; i < 2; i++) { /* one each; whoever is first */
        m[i] = next_on(&on[i]);
        check(!m[i].redelivered, "a first delivery is redelivered");
    }
    check(on[0].number != on[1].number, "one consumer gets both");
    int turn = is(m[0].body, numbered(0)) ? 0 : 1;
    check(is(m[turn].body, numbered(0)), "no message 0");
    check(is(m[1 - turn].body, numbered(1)), "the second message is %s", text(m[1 - turn].body));
    for (int i = 2; i < 10; i++) {
        ack(on[turn], m[turn].tag, false);
        m[turn] = next(on[turn], numbered(i), false);
        turn = 1 - turn;
    }
    ready(publisher, q, 0);
    quiet(publisher.conn);
}

static void cancel(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    consume(ch, q, "tag", false);
    publish(ch, "", q, "before");
    ack(ch, next(ch, "before", false).tag, false);
    amqp_basic_cancel_ok_t *ok = amqp_basic_cancel(ch.conn, ch.number, amqp_cstring_bytes("tag"));
    answered(ch, "basic.cancel");
    check(is(ok->consumer_tag, "tag"), "cancel-ok of %s", text(ok->consumer_tag));
    publish_many(ch, q, 5);
    ready_soon(ch, q, 5); /* a count may overtake a publish */
    amqp_queue_declare_ok_t *count = declare_passively(ch, q);
    answered(ch, "passive declare");
    check(count->consumer_count == 0, "%u consumers", count->consumer_count);
    quiet(ch.conn);
    for (int i = 0; i < 5; i++)
        get_again(ch, q, i, false);
    empty(ch, q);
}

static void cancel_notify(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    consume(ch, q, "tag", false);
    struct channel other = channel_new();
    amqp_queue_delete(other.conn, other.number, amqp_cstring_bytes(q), 0, 0);
    answered(other, "queue.delete");
    amqp_basic_cancel_t *m = await(ch, AMQP_BASIC_CANCEL_METHOD);
    check(is(m->consumer_tag, "tag"), "cancelled %s", text(m->consumer_tag));
    const char *next_queue = queue_new(ch); /* the channel lives */
    publish(ch, "", next_queue, "alive");
    get(ch, next_queue, true, "alive");
}

static void select_confirms(struct channel ch)
{
    amqp_confirm_select(ch.conn, ch.number);
    answered(ch, "confirm.select");
}

static void confirm(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    select_confirms(ch);
    publish_many(ch, q, 100);
    confirmed(ch, 1, 100, true);
    ready(ch, q, 100);
    quiet(ch.conn);
}

static void confirm_nack(void)
{
    struct channel ch = channel_new();
    const char *q = queue_with(ch, TABLE(entry_string("x-overflow", "reject-publish"), entry_int("x-max-length", 1)));
    select_confirms(ch);
    publish(ch, "", q, "kept");
    confirmed(ch, 1, 1, true);
    publish(ch, "", q, "refused");
    confirmed(ch, 2, 2, false);
    get(ch, q, true, "kept");
    empty(ch, q);
    publish(ch, "", q, "room again");
    confirmed(ch, 3, 3, true);
}

static void returned(void)
{
    struct channel ch = channel_new();
    const char *x = exchange_new(ch, "direct");
    const char *q = queue_new(ch);
    bind_queue(ch, q, x, "key", amqp_empty_table);
    select_confirms(ch);
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG, .message_id = amqp_cstring_bytes("id")};
    publish_with(ch, x, "lost", true, &p, amqp_cstring_bytes("not routed"));
    amqp_basic_return_t *r = await(ch, AMQP_BASIC_RETURN_METHOD); /* before its confirm */
    check(r->reply_code == AMQP_NO_ROUTE && is(r->reply_text, "NO_ROUTE"), "returned %d %s", r->reply_code,
          text(r->reply_text));
    struct message m = {.exchange = text(r->exchange), .key = text(r->routing_key)};
    came_from(&m, x, "lost");
    read_content(ch, &m);
    check(is(m.body, "not routed"), "returned \"%s\"", text(m.body));
    check(m.properties._flags == p._flags && is(m.properties.message_id, "id"), "the properties differ");
    confirmed(ch, 1, 1, true);
    publish_with(ch, x, "key", true, &p, amqp_cstring_bytes("routed"));
    confirmed(ch, 2, 2, true);
    publish(ch, x, "lost", "not mandatory");
    confirmed(ch, 3, 3, true);
    get(ch, q, true, "routed");
    empty(ch, q);
}

static void transaction(void)
{
    struct channel ch = channel_new();
    struct channel other = channel_on(ch.conn, 2);
    const char *q = queue_new(ch);
    amqp_tx_select(ch.conn, ch.number);
    answered(ch, "tx.select");
    publish_many(ch, q, 3);
    ready(ch, q, 0); /* the server has seen the publishes by now */
    empty(other, q);
    amqp_tx_commit(ch.conn, ch.number);
    answered(ch, "tx.commit");
    ready_soon(other, q, 3);
    for (int i = 0; i < 3; i++)
        get(other, q, true, numbered(i));
    publish(ch, "", q, "discarded");
    amqp_tx_rollback(ch.conn, ch.number);
    answered(ch, "tx.rollback");
    publish(ch, "", q, "after the rollback");
    amqp_tx_commit(ch.conn, ch.number);
    answered(ch, "tx.commit");
    get_soon(other, q, "after the rollback");
    empty(other, q);
}

static void direct_reply_to(void)
{
    struct channel ch = channel_new(), server = channel_new();
    const char *q = queue_new(server);
    amqp_basic_properties_t request = {._flags = AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG,
                                       .reply_to = amqp_cstring_bytes("amq.rabbitmq.reply-to"),
                                       .correlation_id = amqp_cstring_bytes("7")};
    consume(ch, "amq.rabbitmq.reply-to", "replies", true);
    publish_with(ch, "", q, false, &request, amqp_cstring_bytes("how?"));
    struct message m = get_soon(server, q, "how?");
    const char *address = text(m.properties.reply_to);
    check(strncmp(address, "amq.rabbitmq.reply-to.", 22) == 0, "reply-to %s", address);
    ready(server, address, 0);
    amqp_basic_properties_t reply = {._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
                                     .correlation_id = m.properties.correlation_id};
    publish_with(server, "", address, false, &reply, amqp_cstring_bytes("so"));
    m = next(ch, "so", false);
    check(is(m.properties.correlation_id, "7"), "correlation id %s", text(m.properties.correlation_id));
    came_from(&m, "", address);
    amqp_basic_cancel(ch.conn, ch.number, amqp_cstring_bytes("replies"));
    answered(ch, "basic.cancel");
    int64_t end = deadline();
    for (int number = 2; exists(server.conn, number, address); number++)
        pause_before(end, "the address is gone");
}

const struct scenario deliveries[] = {{"consume-ack", consume_ack},
                                      {"consume-no-ack", consume_no_ack},
                                      {"nack-requeue", nack_requeue},
                                      {"reject-drop", reject_drop},
                                      {"ack-multiple", ack_multiple},
                                      {"ack-unknown", ack_unknown},
                                      {"requeue-on-close", requeue_on_close},
                                      {"recover", recover},
                                      {"prefetch", prefetch},
                                      {"round-robin", round_robin},
                                      {"cancel", cancel},
                                      {"cancel-notify", cancel_notify},
                                      {"confirm", confirm},
                                      {"confirm-nack", confirm_nack},
                                      {"return", returned},
                                      {"tx", transaction},
                                      {"direct-reply-to", direct_reply_to},
                                      {NULL, NULL}};
