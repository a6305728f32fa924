#include "amqp/answer.h"

#include "amqp/consume.h"
#include "amqp/settle.h"
#include "amqp/state.h"
#include "amqp/trail.h"
#include "broker/port/spec.h"

/* ---- Fields of answers that have some. */

static void fill_declare(union method *ok, const struct event *e)
{
    ok->queue_declare_ok.queue = e->done.spec->name;
    ok->queue_declare_ok.message_count = e->done.messages;
    ok->queue_declare_ok.consumer_count = e->done.consumers;
}

static void fill_purge(union method *ok, const struct event *e)
{
    ok->queue_purge_ok.message_count = e->done.messages;
}

static void fill_delete(union method *ok, const struct event *e)
{
    ok->queue_delete_ok.message_count = e->done.messages;
}

static void fill_cancel(union method *ok, const struct event *e)
{
    ok->basic_cancel_ok.consumer_tag = e->done.spec->name;
}

static void fill_flow(union method *ok, const struct event *e)
{
    (void)e;
    ok->channel_flow_ok.active = true;
}

static void fill_ticket(union method *ok, const struct event *e)
{
    (void)e;
    ok->access_request_ok.reserved_1 = 1;
}

/* ---- Asked and answered. */

/* The lowest bit of session_low() says no_wait throughout. */
static const struct row {
    enum method_id asked, ok;
    void (*fill)(union method *ok, const struct event *e); /* NULL: it has no fields, or all of them are empty */
} rows[] = {
    {METHOD_queue_declare, METHOD_queue_declare_ok, fill_declare},
    {METHOD_queue_bind, METHOD_queue_bind_ok, NULL},
    {METHOD_queue_unbind, METHOD_queue_unbind_ok, NULL},
    {METHOD_queue_purge, METHOD_queue_purge_ok, fill_purge},
    {METHOD_queue_delete, METHOD_queue_delete_ok, fill_delete},
    {METHOD_exchange_declare, METHOD_exchange_declare_ok, NULL},
    {METHOD_exchange_delete, METHOD_exchange_delete_ok, NULL},
    {METHOD_exchange_bind, METHOD_exchange_bind_ok, NULL},
    {METHOD_exchange_unbind, METHOD_exchange_unbind_ok, NULL},
    {METHOD_basic_qos, METHOD_basic_qos_ok, NULL},
    {METHOD_basic_cancel, METHOD_basic_cancel_ok, fill_cancel},
    {METHOD_basic_recover, METHOD_basic_recover_ok, NULL},
    {METHOD_confirm_select, METHOD_confirm_select_ok, NULL},
    {METHOD_tx_select, METHOD_tx_select_ok, NULL},
    {METHOD_tx_commit, METHOD_tx_commit_ok, NULL},
    {METHOD_tx_rollback, METHOD_tx_rollback_ok, NULL},
    {METHOD_channel_open, METHOD_channel_open_ok, NULL},
    {METHOD_channel_flow, METHOD_channel_flow_ok, fill_flow},
    {METHOD_access_request, METHOD_access_request_ok, fill_ticket},
};

/* Its tag is the session's own knowledge: the spec names the queue. */
static void answer_consume(struct session *s, struct channel *c, uint32_t number)
{
    struct basic_consume_ok ok = {.id = METHOD_basic_consume_ok};
    if (consume_find_tag(s, c, number, &ok.consumer_tag))
        session_send(s, c->number, &(union method){.basic_consume_ok = ok});
}

void answer_done(struct session *s, struct channel *c, const struct event *e)
{
    enum method_id asked = session_asked(e->cookie);
    trail_done(s, e);
    uint32_t number = session_low(e->cookie) >> 1;
    bool no_wait = session_low(e->cookie) & 1;
    if (e->verb == SUBSCRIBE && !no_wait)
        answer_consume(s, c, number);
    if (e->verb == UNSUBSCRIBE)
        consume_on_unsubscribed(s, c, number);
    if (e->verb == RECOVER)
        settle_on_recovered(c);
    for (size_t i = 0; !no_wait && i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].asked != asked)
            continue;
        union method ok = {.connection_start = {.id = rows[i].ok}}; /* the largest one: all of it is empty */
        if (rows[i].fill != NULL)
            rows[i].fill(&ok, e);
        session_send(s, c->number, &ok);
        return;
    }
}
