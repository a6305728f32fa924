#include "tests/talk/talk.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/frame.h"
#include "codec/method.h"

enum { DROP_PAUSE_MS = 60, BLOCK_LINES_MAX = 512 };

bool talk_fail(struct talk *t, const char *format, ...)
{
    va_list args;
    if (!t->failed) {
        fprintf(t->report, "%s:%d: %s\n  ", t->path, t->at + 1, t->at < t->n ? t->lines[t->at] : "(the end)");
        va_start(args, format);
        vfprintf(t->report, format, args);
        va_end(args);
        fputc('\n', t->report);
    }
    t->failed = true;
    return false;
}

struct reading talk_reading(struct talk *t, const char *text, bool expecting)
{
    return (struct reading){.at = text, .expecting = expecting, .scratch = &t->scratch, .vars = &t->vars};
}

struct channel *talk_channel(struct talk *t, const struct words *w)
{
    struct client *c = t->client;
    const struct value *said = words_value(w, "channel");
    bool is_connections = strncmp(w->verb, "connection.", 11) == 0 || strcmp(w->verb, "heartbeat") == 0;
    if (said != NULL)
        return client_channel(c, (uint16_t)said->integer);
    return is_connections ? client_channel(c, 0) : c->current;
}

void talk_settle(struct talk *t, const struct channel *but)
{
    for (struct client *c = t->clients; c != NULL; c = c->next)
        for (struct channel *ch = c->channels; ch != NULL; ch = ch->next)
            if (ch != but && ch->is_ahead && !c->is_holding)
                client_settle(c, ch);
}

/* ---- Sending. */

static void note_declared(struct talk *t, const struct words *w)
{
    bool is_queue = strcmp(w->verb, "queue.declare") == 0, is_exchange = strcmp(w->verb, "exchange.declare") == 0;
    struct bytes name = words_bytes(w, is_queue ? "queue" : "exchange", (struct bytes){0});
    if ((is_queue || is_exchange) && name.len > 0 && words_integer(w, "passive", 0) == 0 &&
        !bytes_start_with(name, BYTES("amq.")))
        talk_remember(t, is_exchange, name);
}

static bool goes_on(const struct words *w)
{
    uint32_t m = wire_method(w->verb);
    return m == METHOD_basic_publish || m == METHOD_basic_ack || m == METHOD_basic_nack || m == METHOD_basic_reject;
}

static void trace_sent(const struct talk *t, const struct channel *ch, const char *text)
{
    if (t->options->traces)
        printf("# %s > on %u:%s\n", t->client->name, ch->number, text);
}

bool talk_send(struct talk *t, const char *text)
{
    struct reading r = talk_reading(t, text, false);
    struct words w;
    if (!words_read(&r, &w))
        return talk_fail(t, "cannot read: %s", r.error);
    struct channel *ch = talk_channel(t, &w);
    if (!t->client->is_holding)
        talk_settle(t, goes_on(&w) ? ch : NULL);
    struct buffer out = {0};
    const char *error = wire_send(&w, ch->number, t->client->frame_max, &out);
    if (error == NULL) {
        note_declared(t, &w);
        trace_sent(t, ch, text);
        client_send(t->client, ch, &w, buffer_bytes(&out));
    } else
        talk_fail(t, "%s", error);
    buffer_fini(&out);
    return error == NULL;
}

/* ---- Who speaks. */

static struct client *client_named(struct talk *t, const char *name)
{
    for (struct client *c = t->clients; c != NULL; c = c->next)
        if (strcmp(c->name, name) == 0)
            return c;
    struct client *c = client_create(t->peer, name);
    c->next = t->clients;
    t->clients = c;
    return c;
}

static bool say_client(struct talk *t, const char *text)
{
    struct reading r = talk_reading(t, text, false);
    struct words w;
    if (!words_read(&r, &w))
        return talk_fail(t, "cannot read: %s", r.error);
    talk_settle(t, NULL);
    t->client = client_named(t, w.verb);
    if (words_has(&w, "drops")) {
        client_let_go(t->client);
        client_drop(t->client);
        if (t->peer->is_remote)
            t->peer->wait(t->peer, DROP_PAUSE_MS);
        return true;
    }
    return t->client->line >= 0 || talk_connect(t, &w);
}

static bool say_channel(struct talk *t, const char *text)
{
    struct reading r = talk_reading(t, text, false);
    reading_skip_blanks(&r);
    const struct value *v = value_read(&r);
    if (v == NULL || v->kind != VALUE_INTEGER)
        return talk_fail(t, "channel wants a number");
    if (!t->client->is_holding)
        talk_settle(t, NULL);
    t->client->current = client_channel(t->client, (uint16_t)v->integer);
    return true;
}

static bool say_wait(struct talk *t, const char *text)
{
    struct reading r = talk_reading(t, text, false);
    reading_skip_blanks(&r);
    const struct value *v = value_read(&r);
    if (v == NULL || v->kind != VALUE_INTEGER)
        return talk_fail(t, "wait wants milliseconds");
    talk_settle(t, NULL);
    t->peer->wait(t->peer, (uint64_t)v->integer);
    return true;
}

static bool say_expect(struct talk *t, const char *text)
{
    struct reading r = talk_reading(t, text, false);
    const char *what = reading_word(&r);
    if (what == NULL || (strcmp(what, "closed") != 0 && strcmp(what, "open") != 0))
        return talk_fail(t, "expect what: closed or open?");
    return talk_expect_end(t, what);
}

/* After the server has closed the channel: answers, and opens it again. */
static bool say_reopen(struct talk *t, const char *text)
{
    (void)text;
    return talk_say(t, "> channel.close-ok") && talk_say(t, "> channel.open") && talk_say(t, "< channel.open-ok");
}

static bool say_settle(struct talk *t, const char *text)
{
    (void)text;
    client_let_go(t->client);
    client_settle_all(t->client, true);
    return true;
}

/* ---- Lines and blocks. */

static const char *after(const char *line, const char *word)
{
    size_t n = strlen(word);
    while (*line == ' ' || *line == '\t')
        line++;
    if (strncmp(line, word, n) != 0 || (line[n] != '\0' && strchr(" \t:", line[n]) == NULL))
        return NULL;
    return line + n;
}

static bool is_blank(const char *line)
{
    line += strspn(line, " \t");
    return *line == '\0' || *line == '#';
}

static bool is_desk(const char *line)
{
    char word[16] = "";
    line += strspn(line, " \t");
    size_t n = strcspn(line, " \t");
    if (n >= sizeof word)
        return false;
    memcpy(word, line, n);
    return talk_is_desk(word);
}

bool talk_say(struct talk *t, const char *line)
{
    static const struct {
        const char *word;
        bool (*say)(struct talk *t, const char *text);
    } sayings[] = {
        {">", talk_send},       {"<*", talk_expect_skipping}, {"<", talk_expect},
        {"client", say_client}, {"channel", say_channel},     {"wait", say_wait},
        {"expect", say_expect}, {"settle", say_settle},       {"reopen", say_reopen},
    };
    if (is_desk(line))
        return talk_say_desk(t, line + strspn(line, " \t"));
    if (t->client == NULL && after(line, "client") == NULL)
        return talk_fail(t, "nobody speaks");
    if (t->client != NULL && t->client->line < 0 && after(line, "client") == NULL)
        return talk_fail(t, "client %s is not connected", t->client->name);
    for (size_t i = 0; i < sizeof sayings / sizeof sayings[0]; i++) {
        const char *text = after(line, sayings[i].word);
        if (text != NULL)
            return sayings[i].say(t, text);
    }
    return talk_fail(t, "not a line of a conversation");
}

/* "only millrace", "only rabbitmq", "only in-process": NULL if it is none of them; *ours whether that is who we talk
 * with.  Answers what stands behind it: ":…" for a line, nothing for a block. */
static const char *after_only(const struct talk *t, const char *line, bool *ours)
{
    const struct {
        const char *who;
        bool is_here;
    } all[] = {
        {"millrace", t->is_millrace},
        {"rabbitmq", !t->is_millrace},
        {"in-process", t->options->host == NULL},
    };
    const char *text = after(line, "only");
    for (size_t i = 0; i < sizeof all / sizeof all[0] && text != NULL; i++) {
        const char *behind = after(text, all[i].who);
        *ours = all[i].is_here;
        if (behind != NULL)
            return behind;
    }
    return NULL;
}

static bool opens_block(const struct talk *t, const char *line)
{
    bool ours;
    const char *only = after_only(t, line, &ours);
    return after(line, "together") != NULL || after(line, "in any order") != NULL || after(line, "repeat") != NULL ||
           after(line, "for") != NULL || (only != NULL && *only != ':');
}

/* The line of the block's end; the file's if it is never said. */
static int block_end(const struct talk *t, int opening)
{
    int depth = 0;
    for (int i = opening; i < t->n; i++) {
        if (opens_block(t, t->lines[i]))
            depth++;
        else if (after(t->lines[i], "end") != NULL && --depth == 0)
            return i;
    }
    return t->n;
}

static bool say_lines(struct talk *t, int from, int to);

static bool say_together(struct talk *t, int from, int to)
{
    talk_settle(t, NULL);
    t->client->is_holding = true;
    bool ok = say_lines(t, from, to);
    client_let_go(t->client);
    return ok;
}

static bool say_any_order(struct talk *t, int from, int to)
{
    int lines[BLOCK_LINES_MAX], n = 0;
    for (int i = from; i < to && n < BLOCK_LINES_MAX; i++) {
        bool ours;
        const char *only = after_only(t, t->lines[i], &ours);
        if (!is_blank(t->lines[i]) && (only == NULL || ours))
            lines[n++] = i;
    }
    t->at = from - 1;
    return talk_expect_any_order(t, lines, n);
}

static bool say_repeat(struct talk *t, const char *text, int from, int to)
{
    long times = strtol(text, NULL, 10);
    bool ok = times > 0 || talk_fail(t, "repeat wants a number");
    for (long i = 1; i <= times && ok; i++) {
        variables_set_integer(&t->vars, "i", (uint64_t)i);
        ok = say_lines(t, from, to);
    }
    return ok;
}

/* for $name in value value … */
static bool say_for(struct talk *t, const char *text, int from, int to)
{
    struct scratch scratch = {0};
    struct reading r = talk_reading(t, text + strspn(text, " $"), false);
    r.scratch = &scratch;
    const char *name = reading_word(&r), *in = reading_word(&r);
    bool ok = name != NULL && in != NULL && strcmp(in, "in") == 0;
    if (!ok)
        talk_fail(t, "for $name in value value");
    for (reading_skip_blanks(&r); ok && *r.at != '\0'; reading_skip_blanks(&r)) {
        const struct value *v = value_read(&r);
        if (v == NULL)
            ok = talk_fail(t, "cannot read: %s", r.error);
        else if (v->kind == VALUE_INTEGER)
            variables_set_integer(&t->vars, name, v->integer);
        else
            variables_set_bytes(&t->vars, name, v->bytes);
        ok = ok && say_lines(t, from, to);
    }
    scratch_fini(&scratch);
    return ok;
}

static bool say_block(struct talk *t, int opening, int end)
{
    const char *line = t->lines[opening], *text;
    bool ours;
    if (after_only(t, line, &ours) != NULL) {
        t->left_out += !ours;
        return !ours || say_lines(t, opening + 1, end);
    }
    if ((text = after(line, "for")) != NULL)
        return say_for(t, text, opening + 1, end);
    if ((text = after(line, "repeat")) != NULL)
        return say_repeat(t, text, opening + 1, end);
    if (t->client == NULL)
        return talk_fail(t, "nobody speaks");
    if (after(line, "together") != NULL)
        return say_together(t, opening + 1, end);
    return say_any_order(t, opening + 1, end);
}

static bool say_line(struct talk *t, const char *line)
{
    bool ours;
    const char *only = after_only(t, line, &ours);
    if (only != NULL && !ours) {
        t->left_out++;
        return true;
    }
    t->done++;
    bool ok = talk_say(t, only == NULL ? line : only + 1);
    scratch_fini(&t->scratch);
    return ok;
}

static bool say_lines(struct talk *t, int from, int to)
{
    bool ok = true;
    for (int i = from; i < to && ok; i++) {
        t->at = i;
        if (is_blank(t->lines[i]) || after(t->lines[i], "broker") != NULL)
            continue;
        if (opens_block(t, t->lines[i])) {
            int end = block_end(t, i);
            ok = say_block(t, i, end < to ? end : to);
            i = end;
        } else
            ok = say_line(t, t->lines[i]);
    }
    return ok;
}

/* ---- A whole file. */

static void talk_load(struct talk *t, FILE *in)
{
    size_t capacity = 0, room = 0;
    char *line = NULL;
    while (getline(&line, &room, in) >= 0) {
        if ((size_t)t->n == capacity) {
            capacity = alloc_grown(capacity, capacity + 1);
            t->lines = alloc_array(t->lines, capacity, sizeof *t->lines);
        }
        line[strcspn(line, "\r\n")] = '\0';
        t->lines[t->n++] = scratch_string(&t->kept, bytes_of_string(line));
    }
    free(line);
}

/* "broker heartbeat=2": how the broker in this process shall be made. */
static bool talk_find_broker(struct talk *t, struct peer_options *o)
{
    bool found = false;
    for (int i = 0; i < t->n; i++) {
        const char *text = after(t->lines[i], "broker");
        if (text == NULL)
            continue;
        struct reading r = talk_reading(t, t->lines[i], false);
        struct words w;
        if (!words_read(&r, &w))
            continue;
        found = true;
        o->channel_max = (uint16_t)words_integer(&w, "channel-max", o->channel_max);
        o->frame_max = (uint32_t)words_integer(&w, "frame-max", o->frame_max);
        o->heartbeat_s = (uint16_t)words_integer(&w, "heartbeat", o->heartbeat_s);
        o->max_message_size = words_integer(&w, "max-message-size", o->max_message_size);
        o->memory_high = words_integer(&w, "memory-high", o->memory_high);
        o->live_prefetch |= words_integer(&w, "live-prefetch", 0) != 0;
        o->default_queue_type = (uint8_t)words_integer(&w, "default-queue-type", o->default_queue_type);
        o->strict_queue_types |= words_integer(&w, "strict-queue-types", 0) != 0;
        o->relaxed_redeclare |= words_integer(&w, "relaxed-redeclare", 0) != 0;
        o->ignores_client_deaths |= words_integer(&w, "honour-client-x-death", 1) == 0;
        o->has_events |= words_integer(&w, "events", 0) != 0;
        o->expires_at_head |= words_integer(&w, "expires-at-head", 0) != 0;
        o->delays_anywhere |= words_integer(&w, "delays-anywhere", 0) != 0;
        o->relaxed_quorum |= words_integer(&w, "relaxed-quorum", 0) != 0;
    }
    return found;
}

/* Whether somebody says what only an administrator can. */
static bool talk_needs_desk(const struct talk *t)
{
    bool found = false;
    for (int i = 0; i < t->n && !found; i++)
        found = is_desk(t->lines[i]);
    return found;
}

static bool talk_meet(struct talk *t)
{
    struct peer_options o = {.channel_max = 2047,
                             .frame_max = 131072,
                             .heartbeat_s = 60,
                             .max_message_size = 16777216,
                             .memory_high = UINT64_MAX};
    bool needs_own = talk_find_broker(t, &o) || talk_needs_desk(t);
    if (t->options->host == NULL) {
        t->is_millrace = true;
        t->peer = peer_model_create(&o, t->options->trickle);
        return t->peer != NULL || talk_fail(t, "there is no broker in this process");
    }
    t->peer = peer_socket_create(t->options->host, t->options->port);
    if (t->peer == NULL)
        return talk_fail(t, "no such peer");
    if (needs_own) {
        t->left_out++;
        return false;
    }
    bool ok = talk_say(t, "client the-one-who-asks raw") && talk_say(t, "> protocol-header") &&
              talk_say(t, "< connection.start");
    t->is_millrace = ok && t->client->is_millrace;
    return ok && talk_say(t, "client the-one-who-asks drops");
}

enum talk_result talk_hold_from(FILE *in, const char *name, const struct talk_options *options, FILE *report)
{
    struct talk t = {.options = options, .path = name, .report = report};
    t.vars.scratch = &t.kept;
    talk_load(&t, in);
    if (talk_meet(&t) && say_lines(&t, 0, t.n)) {
        t.at = t.n;
        talk_nothing_left(&t);
    }
    if (t.peer != NULL) {
        talk_leave(&t);
        t.peer->destroy(t.peer);
    }
    free(t.lines);
    scratch_fini(&t.scratch);
    scratch_fini(&t.kept);
    return t.failed ? TALK_FAILED : t.done == 0 && t.left_out > 0 ? TALK_SKIPPED : TALK_OK;
}

enum talk_result talk_hold(const char *path, const struct talk_options *options, FILE *report)
{
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        fprintf(report, "%s: cannot be opened\n", path);
        return TALK_FAILED;
    }
    enum talk_result result = talk_hold_from(in, path, options, report);
    fclose(in);
    return result;
}
