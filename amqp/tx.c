#include "amqp/tx.h"

#include "amqp/state.h"
#include "amqp/unacked.h"
#include "base/alloc.h"
#include "broker/port/message.h"

static struct command *tx_add(struct session *s, struct channel *c, enum verb verb, uint64_t bytes)
{
    struct tx *tx = c->tx;
    if (tx->n == tx->capacity) {
        tx->capacity = alloc_grown(tx->capacity, tx->n + 1);
        tx->commands = alloc_array(tx->commands, tx->capacity, sizeof *tx->commands);
    }
    tx->publishes += verb == PUBLISH;
    tx->bytes += bytes + sizeof(struct command);
    s->tx_bytes += bytes + sizeof(struct command);
    struct command *kept = &tx->commands[tx->n++];
    *kept = (struct command){.verb = verb, .from = {.outlet = s->id, .stream = c->stream}};
    return kept;
}

struct error *tx_check_size(const struct session *s)
{
    if (s->tx_bytes <= SESSION_TX_BYTES_MAX)
        return NULL;
    return error_create(AMQP_RESOURCE_ERROR, "transactions of this connection hold more than %d bytes",
                        SESSION_TX_BYTES_MAX);
}

struct error *tx_publish(struct session *s, struct channel *c)
{
    struct content *content = &c->content;
    struct command *check = session_tell(s, c, PUBLISH, 0);
    check->publish.msg = message_ref(content->msg);
    check->publish.objection = content->objection;
    check->publish.impersonates = content->impersonates;
    check->publish.hold = true;
    content->objection = NULL;
    struct command *kept = tx_add(s, c, PUBLISH, message_cost(content->msg));
    kept->publish.msg = content->msg;
    kept->publish.mandatory = content->mandatory;
    content->msg = NULL;
    return tx_check_size(s);
}

void tx_settle(struct session *s, struct channel *c, ticket t, enum outcome outcome)
{
    struct command *kept = tx_add(s, c, SETTLE, 0);
    kept->settle.ticket = t;
    kept->settle.outcome = outcome;
    struct command *hold = session_tell(s, c, SETTLE, 0);
    hold->settle.ticket = t;
    hold->settle.outcome = HELD;
}

/* The transaction so far, out of the session's account. */
static struct tx *tx_take(struct session *s, struct channel *c)
{
    struct tx *tx = c->tx;
    s->tx_bytes -= tx->bytes;
    c->tx = NULL;
    return tx;
}

void tx_drop(struct session *s, struct channel *c)
{
    if (c->tx != NULL)
        tx_destroy(tx_take(s, c));
}

struct error *tx_on_select(struct session *s, struct channel *c, const union method *m)
{
    if (c->confirms != NULL)
        return error_create(AMQP_PRECONDITION_FAILED, "cannot switch from confirm to tx mode");
    if (c->tx == NULL)
        c->tx = alloc_zeroed(sizeof *c->tx);
    session_ask(s, c, ECHO, m->id, 0);
    return NULL;
}

static struct error *check_is_transactional(const struct channel *c)
{
    return c->tx != NULL ? NULL : error_create(AMQP_PRECONDITION_FAILED, "channel is not transactional");
}

struct error *tx_on_commit(struct session *s, struct channel *c, const union method *m)
{
    struct error *e = check_is_transactional(c);
    if (e != NULL)
        return e;
    struct tx *tx = tx_take(s, c);
    if (c->unacked != NULL)
        unacked_commit(c->unacked);
    c->tx = alloc_zeroed(sizeof *c->tx); /* the next one begins by itself */
    session_ask(s, c, COMMIT, m->id, 0)->tx = tx;
    return NULL;
}

struct error *tx_on_rollback(struct session *s, struct channel *c, const union method *m)
{
    struct error *e = check_is_transactional(c);
    if (e != NULL)
        return e;
    tx_drop(s, c);
    if (c->unacked != NULL)
        unacked_rollback(c->unacked);
    c->tx = alloc_zeroed(sizeof *c->tx);
    session_ask(s, c, ROLLBACK, m->id, 0);
    return NULL;
}
