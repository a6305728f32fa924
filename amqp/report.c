#include "amqp/report.h"

#include "amqp/confirms.h"
#include "base/alloc.h"
#include "broker/port/sample.h"

void report_schedule(struct session *s)
{
    if (s->attachment != ATTACHED || s->config->report_ms == 0)
        return;
    uint64_t soon = s->now + REPORT_SOON_MS + s->id.slot % REPORT_SPREAD_MS, next = s->reported + s->config->report_ms;
    s->report_at = s->has_reported && next > soon ? next : soon;
}

static struct report_channel look_at(const struct channel *c)
{
    struct report_channel r = {.stream = c->stream};
    if (c->confirms != NULL)
        r.unconfirmed = (uint32_t)confirms_open(c->confirms);
    if (c->tx != NULL) {
        r.uncommitted = (uint32_t)c->tx->publishes;
        r.acks_uncommitted = (uint32_t)(c->tx->n - c->tx->publishes);
    }
    return r;
}

/* Those that have something open, and those that had when they were reported last, from where the last report has
 * stopped. */
static void put_channels(struct session *s, struct report *to)
{
    const struct slots *streams = &s->channels.streams;
    for (uint32_t i = 0; i < streams->count && to->n_channels < REPORT_CHANNELS_MAX; i++) {
        uint32_t at = (s->report_from + i) % streams->count;
        struct channel *c = streams->at[at].item;
        if (c == NULL)
            continue;
        const struct report_channel r = look_at(c);
        bool is_busy = r.unconfirmed + r.uncommitted + r.acks_uncommitted > 0;
        if (is_busy || c->was_busy)
            to->channels[to->n_channels++] = r;
        c->was_busy = is_busy;
        if (to->n_channels == REPORT_CHANNELS_MAX)
            s->report_from = (at + 1) % streams->count;
    }
}

static void send_report(struct session *s)
{
    struct report *r = alloc_zeroed(sizeof *r);
    bool has_alarm = (s->alarms & ALARMS_TOLD) != 0;
    r->recv_oct = s->traffic.recv_oct;
    r->recv_cnt = s->traffic.recv_cnt;
    r->send_oct = s->traffic.send_oct;
    r->send_cnt = s->traffic.send_cnt;
    r->send_pend = s->output.bytes;
    r->is_blocked = has_alarm && s->is_blocked;
    r->is_blocking = has_alarm && !s->is_blocked;
    put_channels(s, r);
    s->reported = s->now;
    s->has_reported = true;
    s->report_at = SESSION_NEVER;
    if (r->n_channels == REPORT_CHANNELS_MAX)
        report_schedule(s); /* there may be more */
    session_tell(s, NULL, REPORT, 0)->report = r;
}

void report_tick(struct session *s)
{
    if (s->now < s->report_at)
        return;
    s->report_at = SESSION_NEVER;
    if (s->attachment == ATTACHED)
        send_report(s);
}

void report_last(struct session *s)
{
    if (s->report_at != SESSION_NEVER)
        send_report(s);
    s->report_at = SESSION_NEVER;
}
