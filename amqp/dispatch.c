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
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): one table, whose rows read best with the method first
static const struct row {
    enum method_id id;
    struct error *(*handle)(struct session *s, struct channel *c, const union method *m);
    bool when_closing; /* also on a channel that is FAILING or CLOSING; the rest is discarded there */
} rows[] = {
    {METHOD_basic_publish, publish_on_publish, true}, /* its content must be followed */
    {METHOD_basic_ack, settle_on_ack, false},
    {METHOD_basic_nack, settle_on_nack, false},
    {METHOD_basic_reject, settle_on_reject, false},
    {METHOD_basic_get, consume_on_get, false},
    {METHOD_channel_open, channel_on_open, true},
    {METHOD_channel_close, channel_on_close, true},
    {METHOD_channel_close_ok, channel_on_close_ok, true},
    {METHOD_channel_flow, channel_on_flow, false},
    {METHOD_access_request, channel_on_access_request, false},
    {METHOD_exchange_declare, topology_on_exchange_declare, false},
    {METHOD_exchange_delete, topology_on_exchange_delete, false},
    {METHOD_exchange_bind, topology_on_exchange_bind, false},
    {METHOD_exchange_unbind, topology_on_exchange_unbind, false},
    {METHOD_queue_declare, topology_on_queue_declare, false},
    {METHOD_queue_bind, topology_on_queue_bind, false},
    {METHOD_queue_purge, topology_on_queue_purge, false},
    {METHOD_queue_delete, topology_on_queue_delete, false},
    {METHOD_queue_unbind, topology_on_queue_unbind, false},
    {METHOD_basic_qos, consume_on_qos, false},
    {METHOD_basic_consume, consume_on_consume, false},
    {METHOD_basic_cancel, consume_on_cancel, false},
    {METHOD_basic_cancel_ok, on_nothing, false},
    {METHOD_basic_recover, settle_on_recover, false},
    {METHOD_basic_recover_async, settle_on_recover, false},
    {METHOD_confirm_select, publish_on_confirm_select, false},
    {METHOD_tx_select, tx_on_select, false},
    {METHOD_tx_commit, tx_on_commit, false},
    {METHOD_tx_rollback, tx_on_rollback, false},
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
