/* SAMPLE and REPORT (broker/port/sample.h). */
#include <stdlib.h>

#include "broker/model/commands.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/port/sample.h"

void command_sample(struct broker *b, struct command *c)
{
    b->changed = 0;
    statistics_sample(b, c->samples);
    broker_done(b, c, NULL)->done.samples = c->samples;
}

/* What has come since the last report is the virtual host's, too. */
static void count_octets(struct broker *b, struct outlet *o, const struct report *r)
{
    const uint64_t now[] = {[0] = r->recv_oct,
                            [COUNT_RECV_CNT - COUNT_RECV_OCT] = r->recv_cnt,
                            [COUNT_SEND_OCT - COUNT_RECV_OCT] = r->send_oct,
                            [COUNT_SEND_CNT - COUNT_RECV_OCT] = r->send_cnt};
    uint64_t *counts = outlet_counters(b, o), *all = o->vhost->tallies.counts;
    for (size_t i = 0; i < sizeof now / sizeof now[0]; i++) {
        uint64_t *was = &counts[COUNT_RECV_OCT + i];
        if (now[i] < *was)
            continue;
        all[COUNT_RECV_OCT + i] += now[i] - *was;
        *was = now[i];
    }
}

static void note_channel(struct broker *b, const struct outlet *o, const struct report_channel *r)
{
    struct stream *s = r->stream < o->stream_count ? o->streams[r->stream] : NULL;
    if (s != NULL)
        stream_report(b, s, r->unconfirmed, r->uncommitted, r->acks_uncommitted);
}

void command_report(struct broker *b, struct command *c, struct outlet *o)
{
    const struct report *r = c->report;
    if (o != NULL) {
        count_octets(b, o, r);
        b->statistics.send_pend += r->send_pend - o->send_pend;
        o->send_pend = r->send_pend;
        o->is_blocked = r->is_blocked;
        o->is_blocking = r->is_blocking;
        for (unsigned i = 0; i < r->n_channels && i < REPORT_CHANNELS_MAX; i++)
            note_channel(b, o, &r->channels[i]);
    }
    free(c->report);
}
