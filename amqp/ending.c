#include "amqp/ending.h"

#include <stdlib.h>

#include "amqp/login.h"
#include "amqp/report.h"
#include "amqp/state.h"
#include "amqp/trail.h"

enum { HEARTBEAT_LONG_S = SESSION_CLOSE_MS / 1000 };

/* How long a peer may take to answer connection.close, or to close the socket after close-ok. */
static uint64_t close_wait_ms(const struct session *s)
{
    if (s->deaf)
        return SESSION_LINGER_MS;
    return s->heartbeat_s == 0 || s->heartbeat_s > HEARTBEAT_LONG_S ? SESSION_CLOSE_MS
                                                                    : s->heartbeat_s * UINT64_C(1000);
}

static void send_close(struct session *s, const struct error *e)
{
    struct connection_close close = {
        .id = METHOD_connection_close,
        .reply_code = e->kind->code,
        .reply_text = bytes_of_string(e->text),
        .class_id = e->class_id,
        .method_id = e->method_id,
    };
    session_send(s, 0, &(union method){.connection_close = close});
}

static void log_exception(const struct session *s, const struct error *e)
{
    if (e->kind == AMQP_CONNECTION_FORCED)
        session_log(s, LOG_CONNECTION, LOG_INFO_LEVEL, "Closing ", " because \"%s\"", error_explanation(e));
    else
        session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "Error on AMQP ", ", state: %s: %s", session_state_word(s),
                    e->text);
}

void ending_linger(struct session *s, const char *why)
{
    if (why != NULL)
        session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "Error on AMQP ", ", state: %s: %s", session_state_word(s),
                    why);
    session_enter(s, LINGERING);
    s->state_deadline = s->now + SESSION_LINGER_MS;
}

void ending_refuse(struct session *s, struct error *e, uint64_t ms)
{
    send_close(s, e);
    free(e);
    session_enter(s, CLOSED);
    s->state_deadline = s->now + ms;
}

/* The channels end: when the model has said so, the peer is told. */
static void end_channels(struct session *s)
{
    session_enter(s, CLOSING);
    report_last(s);
    s->attachment = ENDED;
    s->state_deadline = SESSION_NEVER;
    session_tell(s, NULL, DETACH, 0);
}

void ending_raise(struct session *s, struct error *e)
{
    switch ((enum session_state)s->state) {
    case GREETING:
    case STARTING:
    case JUDGED:
    case TUNING:
        ending_linger(s, e->text);
        break;
    case OPENING:
        log_exception(s, e);
        ending_refuse(s, error_place(e, 0), close_wait_ms(s));
        return;
    case ATTACHING: /* raised when the model has answered */
    case RUNNING:
        if (s->error != NULL)
            break;
        s->error = error_place(e, 0);
        if (s->state == RUNNING) {
            log_exception(s, e);
            end_channels(s);
        }
        return;
    case CLOSED:
        if (s->deaf)
            ending_finish(s, false);
        break;
    case JUDGING: /* nothing is read, so nothing can be wrong */
    case CLOSING:
    case LINGERING:
    case OVER:
        break;
    }
    free(e);
}

void ending_finish(struct session *s, bool abort)
{
    if (s->state != OVER)
        session_enter(s, OVER);
    s->abort |= abort;
    s->state_deadline = s->abort ? SESSION_NEVER : s->now + SESSION_LINGER_MS;
    if (s->attachment == ATTACHED) {
        report_last(s);
        s->attachment = ENDED;
        session_tell(s, NULL, DETACH, 0);
    }
}

void ending_on_close(struct session *s)
{
    if (s->state == CLOSED) {
        session_send_bare(s, 0, METHOD_connection_close_ok);
        return;
    }
    if (s->close_oks < UINT8_MAX)
        s->close_oks++;
    if (s->state == RUNNING) {
        session_log(s, LOG_CONNECTION, LOG_INFO_LEVEL, "closing AMQP ", NULL);
        end_channels(s);
    }
}

void ending_on_close_ok(struct session *s)
{
    if (s->state == CLOSED)
        ending_finish(s, false);
}

void ending_on_detached(struct session *s)
{
    trail_close(s);
    s->attachment = UNATTACHED;
    s->owed = 0; /* nothing of that comes any more */
    if (s->state != CLOSING)
        return;
    channels_fini(s);
    if (s->error != NULL)
        send_close(s, s->error);
    for (; s->close_oks > 0; s->close_oks--)
        session_send_bare(s, 0, METHOD_connection_close_ok);
    session_enter(s, CLOSED);
    s->state_deadline = s->now + close_wait_ms(s);
}

void ending_on_lost(struct session *s)
{
    if (s->state == RUNNING || s->state == OPENING || s->state == ATTACHING)
        session_log(s, LOG_CONNECTION, LOG_WARNING_LEVEL, "closing AMQP ",
                    ": client unexpectedly closed TCP connection");
    else if (s->state < OPENING)
        session_log(s, LOG_CONNECTION, LOG_DEBUG_LEVEL, "", " was closed before it was opened");
    ending_finish(s, true);
}

void ending_on_deadline(struct session *s)
{
    switch ((enum session_state)s->state) {
    case JUDGED:
        login_tell(s);
        break;
    case GREETING:
    case STARTING:
    case JUDGING:
    case TUNING:
    case OPENING:
        if (greeting_may_log(s, NULL))
            session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "closing AMQP ", ": {handshake_timeout,%s}",
                        s->state == GREETING ? "frame_header" : "handshake");
        ending_finish(s, false);
        break;
    case CLOSED:
    case LINGERING:
        ending_finish(s, false);
        break;
    case OVER: /* the output does not drain */
        ending_finish(s, true);
        break;
    case ATTACHING: /* the model answers, so this ends by itself */
    case RUNNING:
    case CLOSING:
        s->state_deadline = SESSION_NEVER;
        break;
    }
}
