#include "amqp/settle.h"

#include "amqp/state.h"
#include "amqp/tx.h"
#include "amqp/unacked.h"
#include "base/alloc.h"

void settle_tell(struct settler *by)
{
    if (by->n == 0)
        return;
    uint32_t more = by->n - 1;
    struct command *told = session_tell(by->s, by->c, SETTLE, 0);
    told->settle.ticket = by->tickets[0];
    told->settle.outcome = by->outcome;
    told->settle.more_count = more;
    if (more > 0)
        told->settle.more = alloc_copy(by->tickets + 1, more * sizeof by->tickets[0]);
    by->n = 0;
}

static void settle_now(void *arg, ticket t)
{
    struct settler *by = arg;
    by->tickets[by->n++] = t;
    if (by->n == 1 + SETTLE_MORE_MAX)
        settle_tell(by);
}

static void settle_at_commit(void *arg, ticket t)
{
    const struct settler *by = arg;
    tx_settle(by->s, by->c, t, by->outcome);
}

void settle_begin(struct settler *by, struct session *s, struct channel *c, enum outcome outcome)
{
    by->s = s; /* member by member: the tickets need not be cleared */
    by->c = c;
    by->outcome = outcome;
    by->n = 0;
}

struct error *settle_next(struct settler *by, uint64_t tag, bool multiple)
{
    struct session *s = by->s;
    struct channel *c = by->c;
    bool known = multiple && tag == 0; /* all of them, be it none */
    if (c->unacked != NULL)
        known = c->tx == NULL ? unacked_settle(c->unacked, tag, multiple, FOR_GOOD, settle_now, by)
                              : unacked_settle(c->unacked, tag, multiple, IN_TRANSACTION, settle_at_commit, by);
    if (!known)
        return error_create(AMQP_PRECONDITION_FAILED, "unknown delivery tag %llu", (unsigned long long)tag);
    return c->tx == NULL ? NULL : tx_check_size(s);
}

static struct error *settle(struct session *s, struct channel *c, uint64_t tag, bool multiple, enum outcome outcome)
{
    struct settler by;
    settle_begin(&by, s, c, outcome);
    struct error *e = settle_next(&by, tag, multiple);
    settle_tell(&by);
    return e;
}

struct error *settle_on_ack(struct session *s, struct channel *c, const union method *m)
{
    return settle(s, c, m->basic_ack.delivery_tag, m->basic_ack.multiple, ACCEPTED);
}

struct error *settle_on_nack(struct session *s, struct channel *c, const union method *m)
{
    const struct basic_nack *nack = &m->basic_nack;
    return settle(s, c, nack->delivery_tag, nack->multiple, nack->requeue ? HANDED_BACK : REJECTED);
}

struct error *settle_on_reject(struct session *s, struct channel *c, const union method *m)
{
    return settle(s, c, m->basic_reject.delivery_tag, false, m->basic_reject.requeue ? REQUEUED : REJECTED);
}

struct error *settle_on_recover(struct session *s, struct channel *c, const union method *m)
{
    bool requeue = m->id == METHOD_basic_recover ? m->basic_recover.requeue : m->basic_recover_async.requeue;
    if (!requeue)
        return error_create(AMQP_NOT_IMPLEMENTED, "requeue=false");
    if (c->unacked != NULL)
        unacked_clear(c->unacked);
    session_ask(s, c, RECOVER, m->id, 0);
    return NULL;
}

void settle_on_recovered(struct channel *c)
{
    if (c->unacked != NULL)
        unacked_clear(c->unacked); /* what was on its way to us when the client asked has gone back too */
}
