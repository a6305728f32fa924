#define _GNU_SOURCE
#include "amqp/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/answer.h"
#include "amqp/consume.h"
#include "amqp/deliver.h"
#include "amqp/ending.h"
#include "amqp/handshake.h"
#include "amqp/heartbeat.h"
#include "amqp/input.h"
#include "amqp/login.h"
#include "amqp/publish.h"
#include "amqp/report.h"
#include "amqp/state.h"
#include "amqp/trail.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/port/message.h"
#include "codec/table.h"

/* ---- The life of a session. */

enum input_rule { READS, HOLDS, DROPS };

#define TO(name) (1u << (name))
static const struct {
    const char *word;
    enum input_rule input;
    unsigned next;
} states[] = {
#define STATE(name, word_, input_, next_) [name] = {.word = (word_), .input = (input_), .next = (next_)},
    STATES
#undef STATE
};

void session_enter(struct session *s, enum session_state to)
{
    CHECK(states[s->state].next & TO(to));
    s->state = (uint8_t)to;
}

const char *session_state_word(const struct session *s)
{
    return states[s->state].word;
}

/* Of the peer's certificate, if it showed one; on the heap, or NULL. */
static char *copy_subject(struct bytes facts)
{
    struct field f;
    bool has = table_find(facts, BYTES("peer_cert_subject"), &f) && f.type == 'S' && f.bytes.len > 0;
    return has ? str_copy(f.bytes) : NULL;
}

struct session *session_create(const struct session_config *config, outlet_id id, const struct session_peer *peer,
                               struct outbox *outbox, uint64_t now)
{
    struct session *s = alloc(sizeof *s);
    *s = (struct session){
        .config = config,
        .outbox = outbox,
        .id = id,
        .now = now,
        .state = GREETING,
        .is_loopback = peer->is_loopback,
        .is_tls = peer->is_tls,
        .greeting = greeting_create(peer),
        .state_deadline = now + config->handshake_timeout_ms,
        .send_check = SESSION_NEVER,
        .receive_check = SESSION_NEVER,
        .report_at = SESSION_NEVER,
        .peer = str_copy(bytes_of_string(peer->name)),
        .certificate_subject = copy_subject(peer->facts),
    };
    output_init(&s->output);
    channels_init(&s->channels);
    slots_init(&s->consumers);
    map_init(&s->consumers_by_tag);
    list_init(&s->gathered);
    return s;
}

void session_destroy(struct session *s)
{
    if (s == NULL)
        return;
    CHECK(session_is_over(s));
    channels_fini(s);
    consume_fini(s);
    output_fini(&s->output);
    greeting_destroy(s->greeting);
    free(s->error);
    free(s->peer);
    free(s->user);
    free(s->vhost);
    free(s->client_name);
    free(s->certificate_subject);
    free(s);
}

/* ---- What leaves. */

void session_send(struct session *s, uint16_t channel, const union method *m)
{
    struct pen p = output_open(&s->output, SESSION_METHOD_ROOM);
    uint8_t *mark = frame_open(&p, FRAME_METHOD, channel);
    method_encode(&p, m);
    frame_close(&p, mark);
    output_close(&s->output, &p);
}

void session_send_bare(struct session *s, uint16_t channel, enum method_id id)
{
    session_send(s, channel, &(union method){.id = id});
}

static uint32_t weight(enum verb verb)
{
    return verb == GET ? SESSION_GET_WEIGHT : 1;
}

struct command *session_ask(struct session *s, struct channel *c, enum verb verb, enum method_id asked, uint32_t low)
{
    uint64_t class_id = (uint64_t)asked >> 16, method_id = (uint64_t)asked & 0xFF;
    s->owed += weight(verb);
    if (verb != RESET)
        c->owed += weight(verb);
    return session_tell(s, c, verb, class_id << COOKIE_CLASS | method_id << COOKIE_METHOD | low);
}

void session_raise(struct session *s, struct channel *c, struct error *e)
{
    if (c != NULL)
        channel_fail(s, c, e);
    else
        ending_raise(s, e);
}

struct bytes session_make_name(const struct session *s, const char *prefix, char to[SESSION_NAME_ROOM])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[18] = {0}; /* two more than are used, so that bits can be taken in threes of octets */
    struct pen p = pen_over(to, SESSION_NAME_ROOM);
    s->config->random(s->config->arg, random, 16);
    pen_bytes(&p, bytes_of_string(prefix));
    for (size_t bit = 0; bit < 128; bit += 6) {
        unsigned two = (unsigned)random[bit / 8] << 8 | random[bit / 8 + 1];
        pen_u8(&p, (uint8_t)digits[two >> (10 - bit % 8) & 63]);
    }
    return pen_written(&p);
}

/* ---- Bytes. */

bool session_is_reading(const struct session *s)
{
    bool is_blocked = (s->is_blocked || s->is_slowed) && s->state == RUNNING;
    return states[s->state].input == READS && !s->deaf && !(s->doomed > 0 && s->state == RUNNING) && !is_blocked &&
           s->owed <= SESSION_COMMANDS_MAX && s->output.bytes <= SESSION_OUTPUT_MAX;
}

size_t session_feed(struct session *s, struct bytes in, uint64_t now)
{
    s->now = now;
    s->heard |= in.len > s->left_over;
    report_received(s, in.len - s->left_over);
    if (s->state == LINGERING)
        s->greeting_bytes += (uint32_t)in.len;
    size_t used = states[s->state].input == DROPS ? in.len : input_take(s, in);
    s->left_over = in.len - used;
    return used;
}

uint8_t *session_room(struct session *s, size_t *n)
{
    return s->left_over == 0 && session_is_reading(s) ? bulk_room(s, n) : NULL;
}

void session_got(struct session *s, size_t n, uint64_t now)
{
    s->now = now;
    s->heard = true;
    report_received(s, n);
    bulk_got(s, n);
}

static void return_window(struct session *s)
{
    if (s->attachment == ATTACHED)
        session_tell(s, NULL, WINDOW, 0)->window.bytes = s->window_bytes;
    s->window_bytes = 0;
}

void session_turn(struct session *s)
{
    while (!list_is_empty(&s->gathered))
        publish_flush_confirms(s, item_of(s->gathered.ring.next, struct channel, gathered));
    if (s->window_bytes >= SESSION_WINDOW_STEP || (s->window_bytes > 0 && output_is_empty(&s->output)))
        return_window(s);
}

int session_gather(struct session *s, struct iovec *iov, int max)
{
    return s->state == OVER && s->abort ? 0 : output_gather(&s->output, iov, max);
}

void session_wrote(struct session *s, size_t bytes)
{
    s->took |= bytes > 0;
    report_sent(s, bytes);
    uint8_t beat = bytes < s->beat_bytes ? (uint8_t)bytes : s->beat_bytes;
    s->window_bytes += output_wrote(&s->output, bytes);
    s->beat_bytes = (uint8_t)(s->beat_bytes - beat);
    s->spoke |= bytes > beat;
    if (s->window_bytes >= SESSION_WINDOW_STEP)
        return_window(s);
}

/* ---- Events. */

/* What an answered command had added to what is owed. */
static void settle_debt(struct session *s, struct channel *c, const struct event *e)
{
    if (e->what == FAILED && (e->verb == PUBLISH || e->cookie == 0))
        return; /* not the answer to anything: a publish, or the model by itself */
    uint32_t paid = e->what == GOT || e->what == EMPTY ? weight(GET) : weight(e->verb);
    if (e->verb != RESET) {
        CHECK(c->owed >= paid);
        c->owed -= paid;
    } else {
        paid += c->owed; /* what poison has swallowed is never answered */
        c->owed = 0;
    }
    CHECK(s->owed >= paid);
    s->owed -= paid;
}

static void on_failed(struct session *s, struct channel *c, const struct event *e)
{
    enum method_id asked = e->verb == PUBLISH ? METHOD_basic_publish : session_asked(e->cookie);
    trail_failed(s, e);
    if (e->failed.reason == NO_ROOM)
        asked = 0; /* one channel too many: reference 4.5 */
    channel_fail(s, c, error_of_event(e, asked));
}

static void take_channel_event(struct session *s, struct channel *c, struct event *e)
{
    switch (e->what) {
    case DONE:
        settle_debt(s, c, e);
        if (e->verb == RESET)
            channel_on_reset(s, c);
        else
            answer_done(s, c, e);
        break;
    case FAILED:
        settle_debt(s, c, e);
        on_failed(s, c, e);
        break;
    case GOT:
    case EMPTY:
        settle_debt(s, c, e);
        deliver_on_got(s, c, e);
        break;
    case RETURNED:
        deliver_on_returned(s, c, e);
        break;
    case CONFIRMED:
    case REFUSED:
        publish_on_confirmed(s, c, e);
        break;
    case CANCELLED:
        consume_on_cancelled(s, c, e);
        break;
    case OVERDUE:
        consume_on_overdue(s, c, e);
        break;
    case DELIVERED:
    case EXPELLED:
    case SLOWED:
    case DETACHED:
        break;
    }
}

/* An answer waits for the disk where it must, and may come when its channel is gone and the stream is another's. */
static bool is_stale(const struct channel *c, const struct event *e)
{
    bool is_answer = e->what != RETURNED && e->what != CANCELLED && e->what != OVERDUE;
    bool has_cookie = is_answer && (e->what != FAILED || e->cookie != 0);
    return has_cookie && c->serial != e->cookie >> COOKIE_SERIAL;
}

/* Unlike an alarm this is nobody's business: the client is told nothing. */
static void on_slowed(struct session *s, const struct event *e)
{
    s->is_slowed = e->slowed.is_slowed;
    s->publishes_left = e->slowed.publishes;
    if (s->is_slowed)
        return;
    s->heard = true; /* what it sent meanwhile lies unread */
    s->misses = 0;
}

static void take_event(struct session *s, struct event *e)
{
    if (e->what == DETACHED) {
        ending_on_detached(s);
    } else if (e->what == EXPELLED) {
        session_force_close(s, e->expelled.text, s->now);
    } else if (e->what == SLOWED) {
        on_slowed(s, e);
    } else if (e->what == DONE && e->verb == LOGIN) {
        login_on_answer(s, e);
    } else if ((e->what == DONE || e->what == FAILED) && e->verb == ATTACH) {
        if (e->what == DONE)
            handshake_on_attached(s, e);
        else
            handshake_on_refused(s, e);
    } else if (s->attachment == ATTACHED) {
        struct channel *c = channel_find_stream(s, e->to.stream);
        if (c != NULL && !is_stale(c, e))
            take_channel_event(s, c, e);
    }
    event_drop(e);
}

void session_event(struct session *s, struct event *e, uint64_t now)
{
    s->now = now;
    if (e->what == DELIVERED)
        deliver_run(s, e, 1);
    else
        take_event(s, e);
}

size_t session_events(struct session *s, struct event *events, size_t n, uint64_t now)
{
    size_t i = 0;
    s->now = now;
    while (i < n && events[i].to.outlet.slot == s->id.slot && events[i].to.outlet.generation == s->id.generation) {
        if (events[i].what == DELIVERED)
            i += deliver_run(s, &events[i], n - i);
        else
            take_event(s, &events[i++]);
    }
    return i;
}

/* ---- Time and the rest. */

uint64_t session_deadline(const struct session *s)
{
    uint64_t beat = heartbeat_deadline(s), next = beat < s->report_at ? beat : s->report_at;
    return next < s->state_deadline ? next : s->state_deadline;
}

void session_tick(struct session *s, uint64_t now)
{
    s->now = now;
    if (now >= s->state_deadline)
        ending_on_deadline(s);
    heartbeat_tick(s);
    report_tick(s);
}

/* While a silent close is due, what comes is dropped: it is read only so that a peer who hangs up is gone at once, and
 * does not take the place of one who wants to log in. */
static bool is_listening_for_the_end(const struct session *s)
{
    return s->state == LINGERING && s->greeting_bytes <= SESSION_GREETING_BYTES_MAX;
}

/* Nor does one who guesses and hangs up before the verdict. */
static bool is_listening_meanwhile(const struct session *s)
{
    return (s->state == JUDGING || s->state == JUDGED) && s->left_over <= SESSION_GREETING_BYTES_MAX;
}

bool session_has_logged_in(const struct session *s)
{
    return s->is_let_in;
}

unsigned session_wants(const struct session *s)
{
    unsigned wish = output_is_empty(&s->output) ? 0 : SESSION_WRITE;
    if (s->state == OVER)
        return s->abort ? SESSION_ABORT : wish | SESSION_CLOSE;
    if (is_listening_meanwhile(s))
        return wish | SESSION_LISTEN;
    return session_is_reading(s) || is_listening_for_the_end(s) ? wish | SESSION_READ : wish;
}

void session_lost(struct session *s)
{
    if (s->state == OVER && s->abort)
        return;
    ending_on_lost(s);
    output_fini(&s->output);
}

bool session_is_over(const struct session *s)
{
    return s->state == OVER && s->attachment == UNATTACHED;
}

void session_tell_blocked(struct session *s)
{
    static const char *const reasons[] = {
        [ALARM_MEMORY] = "low on memory",
        [ALARM_DISK] = "low on disk",
        [ALARM_MEMORY | ALARM_DISK] = "low on disk & memory",
    };
    unsigned alarms = s->is_blocked ? s->alarms & ALARMS_TOLD : 0;
    if ((alarms != 0) == s->is_told)
        return;
    s->is_told = alarms != 0;
    if (s->state != RUNNING || !(s->capabilities & CAPABILITY_CONNECTION_BLOCKED))
        return;
    struct connection_blocked blocked = {.id = METHOD_connection_blocked,
                                         .reason = bytes_of_string(alarms != 0 ? reasons[alarms] : "")};
    if (s->is_told)
        session_send(s, 0, &(union method){.connection_blocked = blocked});
    else
        session_send_bare(s, 0, METHOD_connection_unblocked);
}

void session_alarm(struct session *s, unsigned alarms, uint64_t now)
{
    s->now = now;
    s->alarms = alarms;
    report_note(s);
    if (!s->is_blocked)
        return;
    if (alarms == 0) {
        s->is_blocked = false;
        s->heard = true; /* what it sent meanwhile lies unread */
        s->misses = 0;
    }
    session_tell_blocked(s);
}

void session_force_close(struct session *s, const char *explanation, uint64_t now)
{
    s->now = now;
    if (s->state < OPENING)
        ending_finish(s, false);
    else
        ending_raise(s, error_create(AMQP_CONNECTION_FORCED, "%s", explanation));
}

const char *session_peer_name(const struct session *s)
{
    return s->peer;
}

enum { DESCRIPTION_ROOM = 1200, REST_ROOM = 1024, NAME_SHOWN = 128 };

static void put_shown(struct pen *p, const char *before, const char *text)
{
    pen_bytes(p, bytes_of_string(before));
    pen_bytes(p, bytes_of(text, strnlen(text, NAME_SHOWN)));
}

/* connection <conn-7> (… */
static void describe(const struct session *s, const char *where, char to[DESCRIPTION_ROOM])
{
    bool has_scope = s->vhost != NULL && s->attachment != UNATTACHED;
    struct pen p = pen_over(to, DESCRIPTION_ROOM);
    put_shown(&p, "connection <", where);
    put_shown(&p, "> (", s->peer);
    if (s->client_name != NULL)
        put_shown(&p, " - ", s->client_name);
    if (has_scope) {
        put_shown(&p, ", vhost: '", s->vhost);
        put_shown(&p, "', user: '", s->user);
        pen_bytes(&p, BYTES("'"));
    }
    pen_bytes(&p, bytes_of(")", 2)); /* and the end */
    CHECK(!p.full);
}

void session_log(const struct session *s, enum log_category category, enum log_level level, const char *before,
                 const char *format, ...)
{
    char where[32], description[DESCRIPTION_ROOM], rest[REST_ROOM] = "";
    if (!log_is_on(level))
        return;
    char *at = str_number(stpcpy(where, "conn-"), s->id.slot);
    *at++ = '.';
    *str_number(at, s->id.generation) = '\0';
    describe(s, where, description);
    if (format != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(rest, sizeof rest, format, args);
        va_end(args);
    }
    log_write_in(category, level, where, "%s%s%s", before, description, rest);
}
