#include "amqp/heartbeat.h"

#include "amqp/ending.h"
#include "amqp/state.h"

static uint64_t send_interval_ms(const struct session *s)
{
    return s->heartbeat_s * UINT64_C(500);
}

static uint64_t receive_interval_ms(const struct session *s)
{
    return s->heartbeat_s * UINT64_C(1000);
}

void heartbeat_start(struct session *s)
{
    if (s->heartbeat_s == 0)
        return;
    s->send_check = s->now + send_interval_ms(s);
    s->receive_check = s->now + receive_interval_ms(s);
    s->must_speak = true;
    s->heard = true; /* RabbitMQ's first look finds something too */
    s->misses = 0;
}

static void check_sending(struct session *s)
{
    s->send_check = s->now + send_interval_ms(s);
    bool silent = !s->spoke && output_is_empty(&s->output); /* with output waiting, a heartbeat would only wait too */
    if (s->must_speak || silent) {
        struct pen p = output_open(&s->output, FRAME_OVERHEAD);
        frame_close(&p, frame_open(&p, FRAME_HEARTBEAT, 0));
        output_close(&s->output, &p);
        s->beat_bytes = FRAME_OVERHEAD;
    }
    s->spoke = s->must_speak = false;
}

static void check_receiving(struct session *s)
{
    s->receive_check = s->now + receive_interval_ms(s);
    /* While we do not read, silence says nothing; unless it is because the peer does not read: then it must take
     * something of our output to be alive. */
    bool is_stuck = s->output.bytes > SESSION_OUTPUT_MAX && !s->took;
    bool is_excused = !session_is_reading(s) && !is_stuck;
    s->misses = s->heard || is_excused || s->deaf ? 0 : (uint8_t)(s->misses + 1);
    s->heard = s->took = false;
    if (s->misses < HEARTBEAT_MISSES_MAX)
        return;
    session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "closing AMQP ", ": missed heartbeats from client, timeout: %us",
                s->heartbeat_s);
    ending_finish(s, true);
}

void heartbeat_tick(struct session *s)
{
    if (s->state >= LINGERING)
        return;
    if (s->now >= s->send_check)
        check_sending(s);
    if (s->now >= s->receive_check)
        check_receiving(s);
}

uint64_t heartbeat_deadline(const struct session *s)
{
    if (s->state >= LINGERING)
        return SESSION_NEVER;
    return s->send_check < s->receive_check ? s->send_check : s->receive_check;
}
