#include "amqp/dispatch.h"

#include <stdio.h>

#include "amqp/channel.h"
#include "amqp/consume.h"
#include "amqp/publish.h"
#include "amqp/settle.h"
#include "amqp/state.h"
#include "amqp/topology.h"
#include "amqp/tx.h"

/* An answer that nobody waits for: a client may answer our basic.cancel. */
static struct error *on_nothing(struct session *s, struct channel *c, const union method *m)
{
    (void)s;
    (void)c;
    (void)m;
    return NULL;
}

/* What the client may send on a channel.  The frequent ones are first: the search goes down the list. */
static const struct row {
    struct error *(*handle)(struct session *s, struct channel *c, const union method *m);
    enum method_id id;
    bool when_closing; /* also on a channel that is FAILING or CLOSING; the rest is discarded there */
} rows[] = {
    {publish_on_publish, METHOD_basic_publish, true}, /* its content must be followed */
    {settle_on_ack, METHOD_basic_ack, false},
    {settle_on_nack, METHOD_basic_nack, false},
    {settle_on_reject, METHOD_basic_reject, false},
    {consume_on_get, METHOD_basic_get, false},
    {channel_on_open, METHOD_channel_open, true},
    {channel_on_close, METHOD_channel_close, true},
    {channel_on_close_ok, METHOD_channel_close_ok, true},
    {channel_on_flow, METHOD_channel_flow, false},
    {channel_on_access_request, METHOD_access_request, false},
    {topology_on_exchange_declare, METHOD_exchange_declare, false},
    {topology_on_exchange_delete, METHOD_exchange_delete, false},
    {topology_on_exchange_bind, METHOD_exchange_bind, false},
    {topology_on_exchange_unbind, METHOD_exchange_unbind, false},
    {topology_on_queue_declare, METHOD_queue_declare, false},
    {topology_on_queue_bind, METHOD_queue_bind, false},
    {topology_on_queue_purge, METHOD_queue_purge, false},
    {topology_on_queue_delete, METHOD_queue_delete, false},
    {topology_on_queue_unbind, METHOD_queue_unbind, false},
    {consume_on_qos, METHOD_basic_qos, false},
    {consume_on_consume, METHOD_basic_consume, false},
    {consume_on_cancel, METHOD_basic_cancel, false},
    {on_nothing, METHOD_basic_cancel_ok, false},
    {settle_on_recover, METHOD_basic_recover, false},
    {settle_on_recover, METHOD_basic_recover_async, false},
    {publish_on_confirm_select, METHOD_confirm_select, false},
    {tx_on_select, METHOD_tx_select, false},
    {tx_on_commit, METHOD_tx_commit, false},
    {tx_on_rollback, METHOD_tx_rollback, false},
};

static const struct row *row_find(enum method_id id)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

struct error *dispatch_decode(struct bytes payload, union method *m)
{
    char octets[ERROR_TEXT_MAX];
    switch (method_decode(payload, m)) {
    case METHOD_UNKNOWN:
        return error_create(AMQP_COMMAND_INVALID, "unimplemented method");
    case METHOD_CANNOT_DECODE:
        error_print_numbers(bytes_of(payload.at + 4, payload.len - 4), octets, sizeof octets);
        return error_create(AMQP_FRAME_ERROR, "cannot decode %s", octets);
    case METHOD_BAD_UTF8:
        return error_place(error_create(AMQP_FRAME_ERROR, "Malformed UTF-8 in shortstr"), 0);
    case METHOD_OK:
        break;
    }
    return NULL;
}

void dispatch_method(struct session *s, struct channel *c, struct bytes payload)
{
    union method m;
    struct error *e = dispatch_decode(payload, &m);
    if (e != NULL) {
        session_raise(s, NULL, error_place(e, m.id));
        return;
    }
    const struct row *row = row_find(m.id);
    if (c->state != CHANNEL_OPEN && (row == NULL || !row->when_closing))
        return;
    e = row != NULL ? row->handle(s, c, &m) : error_create(AMQP_COMMAND_INVALID, "unimplemented method");
    if (e != NULL)
        session_raise(s, c, error_place(e, m.id));
}
