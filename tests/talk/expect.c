/* "< …": what must come next. */
#include <stdlib.h>
#include <string.h>

#include "codec/method.h"
#include "tests/talk/talk.h"

enum { NOTHING_ROUNDS = 3, NOTHING_POLL_MS = 60 };

static void print_came(FILE *to, const struct arrival *a)
{
    fputs("  came: ", to);
    if (a == NULL)
        fputs("nothing", to);
    else
        arrival_print(to, a);
    fputc('\n', to);
}

/* What came on the channel so far, after what was reported. */
static void print_rest(struct talk *t, const struct channel *ch)
{
    if (t->client->broken != NULL)
        fprintf(t->report, "  broken: the server sent %s\n", t->client->broken);
    for (const struct arrival *a = ch->first; a != NULL; a = a->next) {
        fputs("  then: ", t->report);
        arrival_print(t->report, a);
        fputc('\n', t->report);
    }
    for (const struct channel *other = t->client->channels; other != NULL; other = other->next)
        if (other != ch && other->first != NULL) {
            fprintf(t->report, "  on channel %u: ", other->number);
            arrival_print(t->report, other->first);
            fputc('\n', t->report);
        }
    if (t->client->line >= 0 && t->peer->has_closed(t->peer, t->client->line))
        fputs("  and it has closed the connection\n", t->report);
}

static bool fail_came(struct talk *t, const struct channel *ch, const struct arrival *a, const char *differs)
{
    talk_fail(t, "%s", a == NULL || differs == NULL ? "something else came" : differs);
    print_came(t->report, a);
    print_rest(t, ch);
    return false;
}

static bool matches(struct talk *t, const struct words *w, const struct arrival *a, const char **differs,
                    const char **error)
{
    unsigned vars_n = t->vars.n;
    if (wire_match(w, &t->vars, a, differs, error))
        return true;
    t->vars.n = vars_n;
    return false;
}

void talk_skip(struct talk *t, struct channel *ch)
{
    const char *differs, *error = NULL;
    while (ch->skipping != NULL && ch->first != NULL && matches(t, ch->skipping, ch->first, &differs, &error)) {
        struct arrival *a = ch->first;
        ch->first = a->next;
        arrival_destroy(a);
    }
}

/* The next arrival, but what may be skipped. */
static struct arrival *take(struct talk *t, struct channel *ch)
{
    struct arrival *a;
    do {
        a = client_take(t->client, ch);
        if (a == NULL || ch->skipping == NULL)
            break;
        a->next = ch->first;
        ch->first = a;
        if (a->next == NULL)
            ch->last = a;
        talk_skip(t, ch);
        a = ch->first == NULL ? NULL : client_take(t->client, ch);
    } while (a == NULL);
    ch->skipping = NULL;
    return a;
}

static void note_named(struct talk *t, const struct arrival *a)
{
    union method m;
    if (arrival_method(a) == METHOD_queue_declare_ok && method_decode(a->payload, &m) == METHOD_OK &&
        bytes_start_with(m.queue_declare_ok.queue, BYTES("amq.gen-")))
        talk_remember(t, false, m.queue_declare_ok.queue);
}

static bool expect_method(struct talk *t, const struct words *w)
{
    const char *differs = NULL, *error = NULL;
    struct channel *ch = talk_channel(t, w);
    if (strcmp(w->verb, "frame") != 0 && wire_method(w->verb) == 0)
        return talk_fail(t, "no such method");
    struct arrival *a = take(t, ch);
    bool ok = a != NULL && matches(t, w, a, &differs, &error) && t->client->broken == NULL;
    if (error != NULL)
        talk_fail(t, "%s: %s", error, differs);
    else if (!ok)
        fail_came(t, ch, a, differs);
    if (ok)
        note_named(t, a);
    arrival_destroy(a);
    return ok;
}

static bool expect_bytes(struct talk *t, struct bytes wanted)
{
    struct client *c = t->client;
    client_let_go(c);
    while (c->in.end - c->in.start < wanted.len && client_receive(c, PATIENCE_MS))
        ;
    struct bytes in = buffer_bytes(&c->in);
    if (bytes_start_with(in, wanted)) {
        buffer_use(&c->in, wanted.len);
        return true;
    }
    talk_fail(t, "other bytes");
    fputs("  came: ", t->report);
    print_bytes(t->report, in);
    fputc('\n', t->report);
    print_rest(t, c->current);
    return false;
}

static bool expect_heartbeat(struct talk *t)
{
    struct client *c = t->client;
    while (c->heartbeats == 0 && client_receive(c, PATIENCE_MS))
        ;
    if (c->heartbeats == 0)
        return fail_came(t, c->current, NULL, NULL);
    c->heartbeats--;
    return true;
}

static bool expect_nothing(struct talk *t, const struct words *w)
{
    struct client *c = t->client;
    struct channel *ch = talk_channel(t, w);
    client_let_go(c);
    talk_settle(t, NULL);
    for (int i = 0; i < NOTHING_ROUNDS && c->peer->is_remote; i++)
        client_settle(c, ch);
    while (client_receive(c, c->peer->is_remote && !ch->is_open ? NOTHING_POLL_MS : 0))
        ;
    talk_skip(t, ch);
    ch->skipping = NULL;
    if (words_has(w, "heartbeat") && c->heartbeats > 0)
        return talk_fail(t, "a heartbeat came");
    if (ch->first == NULL && c->broken == NULL)
        return true;
    return fail_came(t, ch, ch->first, NULL);
}

/* ---- Confirms. */

enum { CONFIRMS_MAX = 65536, ACKED = 1, NACKED = 2 };

/* "1-3 5": notes how each number shall be settled.  Answers how many they are. */
static unsigned note_confirms(uint8_t *wanted, struct bytes spec, uint8_t how)
{
    unsigned n = 0;
    struct scratch scratch = {0};
    char *at = scratch_string(&scratch, spec);
    while (*at != '\0') {
        char *end;
        unsigned long from = strtoul(at, &end, 10), to = from;
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        for (unsigned long i = from; i <= to && i < CONFIRMS_MAX; i++, n++)
            wanted[i] = how;
        at = end + strspn(end, " ,");
        if (end == at && *at != '\0')
            break;
    }
    scratch_fini(&scratch);
    return n;
}

/* Settles what that confirm says; answers how many that are, 0 if it is none or a wrong one. */
static unsigned settle_confirm(uint8_t *wanted, const struct arrival *a)
{
    union method m;
    uint32_t id = arrival_method(a);
    if ((id != METHOD_basic_ack && id != METHOD_basic_nack) || method_decode(a->payload, &m) != METHOD_OK)
        return 0;
    uint64_t tag = id == METHOD_basic_ack ? m.basic_ack.delivery_tag : m.basic_nack.delivery_tag;
    bool multiple = id == METHOD_basic_ack ? m.basic_ack.multiple : m.basic_nack.multiple;
    uint8_t how = id == METHOD_basic_ack ? ACKED : NACKED;
    unsigned n = 0;
    if (tag >= CONFIRMS_MAX || wanted[tag] != how)
        return 0;
    for (uint64_t i = multiple ? 1 : tag; i <= tag; i++) {
        if (wanted[i] != 0 && wanted[i] != how)
            return 0;
        n += wanted[i] != 0;
        wanted[i] = 0;
    }
    return n;
}

/* "< confirms acks="1-3 5" nacks="4"": in any order, one by one or many at a time. */
static bool expect_confirms(struct talk *t, const struct words *w)
{
    struct channel *ch = talk_channel(t, w);
    uint8_t *wanted = calloc(CONFIRMS_MAX, 1);
    unsigned n = note_confirms(wanted, words_bytes(w, "acks", (struct bytes){0}), ACKED);
    n += note_confirms(wanted, words_bytes(w, "nacks", (struct bytes){0}), NACKED);
    bool ok = n > 0;
    while (ok && n > 0) {
        struct arrival *a = take(t, ch);
        unsigned settled = a == NULL ? 0 : settle_confirm(wanted, a);
        ok = settled > 0 && t->client->broken == NULL;
        if (!ok)
            fail_came(t, ch, a, NULL);
        arrival_destroy(a);
        n -= settled;
    }
    free(wanted);
    return ok;
}

bool talk_expect(struct talk *t, const char *text)
{
    struct reading r = talk_reading(t, text, true);
    struct words w;
    if (!words_read(&r, &w))
        return talk_fail(t, "cannot read: %s", r.error);
    const struct value *v = words_first_value(&w);
    if (strcmp(w.verb, "nothing") == 0)
        return expect_nothing(t, &w);
    if (strcmp(w.verb, "confirms") == 0)
        return expect_confirms(t, &w);
    if (strcmp(w.verb, "heartbeat") == 0)
        return expect_heartbeat(t);
    if (strcmp(w.verb, "protocol-header") == 0)
        return expect_bytes(t, bytes_of("AMQP\0\0\x09\x01", 8));
    if (strcmp(w.verb, "bytes") == 0 && v != NULL)
        return expect_bytes(t, v->bytes);
    return expect_method(t, &w);
}

bool talk_expect_skipping(struct talk *t, const char *text)
{
    struct reading r = talk_reading(t, text, true);
    r.scratch = &t->kept;
    struct words *w = scratch_take(&t->kept, sizeof *w);
    if (!words_read(&r, w))
        return talk_fail(t, "cannot read: %s", r.error);
    talk_channel(t, w)->skipping = w;
    return true;
}

bool talk_expect_any_order(struct talk *t, const int *lines, int n)
{
    bool *met = scratch_take(&t->kept, (size_t)n * sizeof *met);
    for (int came = 0; came < n; came++) {
        struct arrival *a = NULL;
        struct channel *ch = t->client->current;
        bool found = false;
        for (int i = 0; i < n && !found; i++) {
            const char *line = t->lines[lines[i]], *differs, *error = NULL;
            struct reading r = talk_reading(t, strchr(line, '<') + 1, true);
            struct words w;
            if (met[i])
                continue;
            if (!words_read(&r, &w))
                return talk_fail(t, "cannot read: %s", r.error);
            if (a == NULL)
                a = take(t, ch = talk_channel(t, &w));
            met[i] = found = a != NULL && matches(t, &w, a, &differs, &error);
        }
        if (!found)
            fail_came(t, ch, a, NULL);
        arrival_destroy(a);
        if (!found)
            return false;
    }
    return true;
}

bool talk_expect_end(struct talk *t, const char *what)
{
    struct client *c = t->client;
    bool shall_close = strcmp(what, "closed") == 0;
    client_let_go(c);
    while (client_receive(c, shall_close ? PATIENCE_MS : NOTHING_POLL_MS))
        ;
    for (struct channel *ch = c->channels; ch != NULL; ch = ch->next)
        talk_skip(t, ch);
    if (t->peer->has_closed(t->peer, c->line) != shall_close)
        return fail_came(t, c->current, c->current->first, shall_close ? "it is open" : "it has closed");
    for (const struct channel *ch = c->channels; ch != NULL && shall_close; ch = ch->next)
        if (ch->first != NULL)
            return fail_came(t, ch, ch->first, "before it closed, it said more");
    if (c->broken != NULL || (shall_close && c->in.end > c->in.start))
        return fail_came(t, c->current, NULL, c->broken != NULL ? c->broken : "it left a part of a frame");
    return true;
}
