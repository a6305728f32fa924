/* What a session tells the model of its connection from time to time, for listings (the command REPORT, port/sample.h):
 * soon after it has opened, then no more often than every session_config.report_ms, and only when something has
 * changed.  Connections do not all report at once: each has a moment of its own.
 */
#ifndef AMQP_REPORT_H
#define AMQP_REPORT_H

#include "amqp/state.h"

enum { REPORT_SOON_MS = 100, REPORT_SPREAD_MS = 512 };

void report_schedule(struct session *s);

/* Something has changed. */
static inline void report_note(struct session *s)
{
    if (__builtin_expect(s->report_at == SESSION_NEVER, 0))
        report_schedule(s);
}

static inline void report_received(struct session *s, uint64_t bytes)
{
    s->traffic.recv_oct += bytes;
    s->traffic.recv_cnt += bytes > 0;
    report_note(s);
}

static inline void report_sent(struct session *s, uint64_t bytes)
{
    s->traffic.send_oct += bytes;
    s->traffic.send_cnt += bytes > 0;
    report_note(s);
}

/* Reports, if it is time. */
void report_tick(struct session *s);

/* The last time, before it detaches. */
void report_last(struct session *s);
#endif
