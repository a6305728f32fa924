#define _GNU_SOURCE
#include "amqp/login.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/ending.h"
#include "amqp/handshake.h"
#include "amqp/sasl.h"
#include "amqp/state.h"
#include "amqp/trail.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/port/spec.h"
#include "codec/table.h"

enum { FACTS_ROOM = 1024 /* of keys and numbers */ };

struct greeting {
    char *certificate_name, *certificate_fault; /* owned; as in struct session_peer */
    char *mechanism;                            /* owned: that the client chose; NULL before it did */
    char *claimed;                              /* owned: who it says it is */
    uint8_t *secret;                            /* owned: the password that it sent */
    size_t secret_len;
    uint8_t *properties; /* owned: what it says of itself */
    size_t properties_len;
    struct bytes place, facts; /* in data; as in struct session_peer */
    uint8_t data[];
};

static char *copy_text(const char *text)
{
    return text != NULL ? str_copy(bytes_of_string(text)) : NULL;
}

struct greeting *greeting_create(const struct session_peer *peer)
{
    struct greeting *g = alloc_zeroed(sizeof *g + peer->place.len + peer->facts.len);
    struct pen p = pen_over(g->data, peer->place.len + peer->facts.len);
    pen_bytes(&p, peer->place);
    pen_bytes(&p, peer->facts);
    g->place = bytes_of(g->data, peer->place.len);
    g->facts = bytes_of(g->data + peer->place.len, peer->facts.len);
    g->certificate_name = copy_text(peer->certificate_name);
    g->certificate_fault = copy_text(peer->certificate_fault);
    return g;
}

static void forget_secret(struct greeting *g)
{
    if (g->secret != NULL)
        explicit_bzero(g->secret, g->secret_len);
    free(g->secret);
    g->secret = NULL;
    g->secret_len = 0;
}

void greeting_destroy(struct greeting *g)
{
    if (g == NULL)
        return;
    forget_secret(g);
    free(g->certificate_name);
    free(g->certificate_fault);
    free(g->mechanism);
    free(g->claimed);
    free(g->properties);
    free(g);
}

unsigned login_mechanisms(const struct session *s)
{
    return s->is_tls ? s->config->mechanisms : s->config->mechanisms & ~(unsigned)SASL_EXTERNAL;
}

bool greeting_may_log(const struct session *s, unsigned *suppressed)
{
    unsigned unasked = 0;
    suppressed = suppressed != NULL ? suppressed : &unasked;
    *suppressed = 0;
    bool may = s->config->may_log == NULL || s->greeting == NULL ||
               s->config->may_log(s->config->arg, s->greeting->place, s->now, suppressed);
    if (may && *suppressed > 0)
        session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "Error on AMQP ",
                    ": before it, %u connections of this address failed and were not logged", *suppressed);
    return may;
}

/* ---- The verdict. */

static void refuse(struct session *s)
{
    const char *mechanism = s->greeting->mechanism;
    if (!(s->capabilities & CAPABILITY_AUTHENTICATION_FAILURE_CLOSE)) {
        ending_linger(s, NULL);
        return;
    }
    struct error *e = error_create(AMQP_ACCESS_REFUSED,
                                   "Login was refused using authentication mechanism %s. For details see the broker "
                                   "logfile.",
                                   mechanism);
    ending_refuse(s, e, SESSION_LINGER_MS);
}

/* Why EXTERNAL cannot say who it is; NULL: it can, or another mechanism was chosen. */
static const char *certificate_fault(const struct greeting *g)
{
    if (sasl_find(bytes_of_string(g->mechanism)) != SASL_EXTERNAL || g->certificate_name != NULL)
        return NULL;
    return g->certificate_fault != NULL ? g->certificate_fault : "no name found";
}

static void log_refusal(const struct session *s)
{
    const struct greeting *g = s->greeting;
    const char *fault = certificate_fault(g);
    unsigned suppressed;
    if (!greeting_may_log(s, &suppressed))
        return; /* nor to the audit log: a stranger could turn it over until nothing else is left in it */
    trail_refused_login(s, g->mechanism, g->claimed, fault != NULL ? fault : "invalid credentials", suppressed);
    if (fault != NULL)
        session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "Error on AMQP ",
                    ", state: starting: EXTERNAL login refused: %s", fault);
    else
        session_log(s, LOG_CONNECTION, LOG_ERROR_LEVEL, "Error on AMQP ",
                    ", state: starting: %s login refused: user '%s' - invalid credentials", g->mechanism, g->claimed);
}

void login_tell(struct session *s)
{
    if (!s->is_let_in) {
        refuse(s);
        return;
    }
    s->user = str_copy(bytes_of_string(s->greeting->claimed));
    s->state_deadline = s->now + s->config->handshake_timeout_ms;
    handshake_on_login(s);
}

/* ms: before which nobody is to know. */
static void judged(struct session *s, bool is_let_in, uint64_t ms)
{
    s->is_let_in = is_let_in;
    session_enter(s, JUDGED);
    forget_secret(s->greeting);
    if (is_let_in)
        trail_login(s, s->greeting->mechanism, s->greeting->claimed);
    else
        log_refusal(s);
    if (ms == 0)
        login_tell(s);
    else
        s->state_deadline = s->now + ms;
}

void login_on_answer(struct session *s, const struct event *e)
{
    const struct greeting *g = s->greeting;
    const struct spec *spec = e->done.spec;
    uint64_t delay_ms = 0;
    if (s->state != JUDGING)
        return;
    const struct session_login l = {
        .user = bytes_of_string(g->claimed),
        .password = bytes_of(g->secret, g->secret_len),
        .is_external = sasl_find(bytes_of_string(g->mechanism)) == SASL_EXTERNAL,
        .is_user = spec->serial != 0,
        .arguments = spec->arguments,
        .is_loopback = s->is_loopback,
        .place = g->place,
    };
    enum login verdict = s->config->login(s->config->arg, &l, s->now, &delay_ms);
    s->serial = spec->serial;
    judged(s, verdict == LOGIN_OK && spec->serial != 0, delay_ms);
}

/* ---- What the client says. */

/* As a text: a user's name has no NUL in it. */
static bool claim(struct greeting *g, struct bytes user, struct bytes password)
{
    g->claimed = str_copy(user);
    if (password.len > 0)
        g->secret = alloc_copy(password.at, password.len);
    g->secret_len = password.len;
    return user.len <= LOGIN_NAME_MAX && memchr(g->claimed, 0, user.len) == NULL;
}

static void ask_model(struct session *s)
{
    const struct spec spec = {.name = bytes_of_string(s->greeting->claimed)};
    session_enter(s, JUDGING);
    session_tell(s, NULL, LOGIN, 0)->spec = spec_create(&spec);
}

/* Nobody the model would have to be asked about. */
static void refuse_at_once(struct session *s)
{
    session_enter(s, JUDGING);
    judged(s, false, 0);
}

static void take_response(struct session *s, struct bytes user, struct bytes password)
{
    struct greeting *g = s->greeting;
    bool is_external = sasl_find(bytes_of_string(g->mechanism)) == SASL_EXTERNAL;
    if (is_external)
        user = bytes_of_string(g->certificate_name != NULL ? g->certificate_name : "");
    bool is_claim = claim(g, user, password);
    if (is_claim && (!is_external || g->certificate_name != NULL))
        ask_model(s);
    else
        refuse_at_once(s);
}

static void keep_properties(struct greeting *g, struct bytes properties)
{
    g->properties = properties.len > 0 ? alloc_copy(properties.at, properties.len) : NULL;
    g->properties_len = properties.len;
}

void login_begin(struct session *s, const union method *start_ok)
{
    const struct connection_start_ok *ok = &start_ok->connection_start_ok;
    struct greeting *g = s->greeting;
    struct bytes user, password;
    keep_properties(g, ok->client_properties);
    switch (sasl_read(login_mechanisms(s), ok->mechanism, ok->response, &user, &password)) {
    case SASL_OK:
        g->mechanism = str_copy(ok->mechanism);
        take_response(s, user, password);
        return;
    case SASL_REFUSED:
        g->mechanism = str_copy(ok->mechanism);
        claim(g, user, password);
        refuse_at_once(s);
        return;
    case SASL_UNKNOWN:
        ending_linger(s, "unknown authentication mechanism");
        return;
    case SASL_MALFORMED:
        ending_linger(s, "malformed authentication response");
        return;
    }
}

/* ---- For listings. */

static void put_text(struct pen *p, const char *key, const char *text)
{
    if (text != NULL)
        table_put_string(p, bytes_of_string(key), bytes_of_string(text));
}

static void put_number(struct pen *p, const char *key, uint64_t n)
{
    table_put_i64(p, bytes_of_string(key), (int64_t)n);
}

uint8_t *login_make_facts(const struct session *s, size_t *len)
{
    const struct greeting *g = s->greeting;
    size_t names = strlen(s->peer) + (s->client_name != NULL ? strlen(s->client_name) : 0) + strlen(g->mechanism);
    size_t room = FACTS_ROOM + g->facts.len + g->properties_len + names;
    uint8_t *facts = alloc(room);
    struct pen p = pen_over(facts, room);
    put_text(&p, "name", s->peer);
    put_text(&p, "user_provided_name", s->client_name);
    put_text(&p, "protocol", "AMQP 0-9-1");
    put_text(&p, "auth_mechanism", g->mechanism);
    put_number(&p, "frame_max", s->frame_max);
    put_number(&p, "channel_max", s->channel_max);
    put_number(&p, "timeout", s->heartbeat_s);
    pen_bytes(&p, g->facts);
    uint8_t *mark = table_open(&p, BYTES("client_properties"), 'F');
    pen_bytes(&p, bytes_of(g->properties, g->properties_len));
    table_close(&p, mark);
    CHECK(!p.full);
    *len = pen_written(&p).len;
    return facts;
}
