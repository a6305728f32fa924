/* How clients come and go, and what stays behind at a remote broker. */
#include <stdlib.h>
#include <string.h>

#include "codec/method.h"
#include "tests/talk/talk.h"

enum { LINE_MAX_LENGTH = 1024, DROP_PAUSE_MS = 60 };

static const char *const capabilities[] = {
    "publisher_confirms", "exchange_exchange_bindings",   "basic.nack",       "consumer_cancel_notify",
    "connection.blocked", "authentication_failure_close", "per_consumer_qos", "consumer_priorities"};

/* "client one as ann": the word behind "as". */
static const char *user_said(const struct words *w)
{
    for (unsigned i = 0; i + 1 < w->n; i++)
        if (w->arguments[i].name != NULL && strcmp(w->arguments[i].name, "as") == 0 && w->arguments[i + 1].name != NULL)
            return w->arguments[i + 1].name;
    return "guest";
}

static bool say_open(struct talk *t, const struct words *w)
{
    char line[LINE_MAX_LENGTH];
    const char *usual = t->options->vhost != NULL ? t->options->vhost : "/";
    struct bytes vhost = words_bytes(w, "vhost", bytes_of_string(usual));
    snprintf(line, sizeof line, "> connection.open virtual-host=\"%.*s\"", BYTES_ARG(vhost));
    return talk_say(t, line) && talk_say(t, "< connection.open-ok") && talk_say(t, "channel 1") &&
           talk_say(t, "> channel.open") && talk_say(t, "< channel.open-ok");
}

static bool shake_hands(struct talk *t, const struct words *w)
{
    char line[LINE_MAX_LENGTH], caps[LINE_MAX_LENGTH / 2] = "";
    struct bytes without = words_bytes(w, "without", (struct bytes){0});
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
        if (!bytes_equal(without, bytes_of_string(capabilities[i]))) {
            size_t used = strlen(caps);
            snprintf(caps + used, sizeof caps - used, "%s=true ", capabilities[i]);
        }
    unsigned long frame_max = words_integer(w, "frame-max", 131072),
                  channel_max = words_integer(w, "channel-max", 2047);
    if (!talk_say(t, "> protocol-header") || !talk_say(t, "< connection.start"))
        return false;
    snprintf(line, sizeof line,
             "> connection.start-ok client-properties={product=\"talk\" capabilities={%s}} mechanism=\"PLAIN\" "
             "response=\"\\x00%s\\x00%s\" locale=\"en_US\"",
             caps, user_said(w), user_said(w));
    if (!talk_say(t, line) || !talk_say(t, "< connection.tune"))
        return false;
    snprintf(line, sizeof line, "> connection.tune-ok channel-max=%lu frame-max=%lu heartbeat=%lu", channel_max,
             frame_max, (unsigned long)words_integer(w, "heartbeat", 0));
    t->client->frame_max = (uint32_t)frame_max;
    return talk_say(t, line) && say_open(t, w);
}

bool talk_connect(struct talk *t, const struct words *w)
{
    t->client->is_raw = w == NULL || words_has(w, "raw");
    t->client->traces = t->options->traces;
    if (!client_connect(t->client))
        return talk_fail(t, "nobody answers");
    return t->client->is_raw || shake_hands(t, w);
}

void talk_remember(struct talk *t, bool is_exchange, struct bytes name)
{
    struct leftover *l = scratch_take(&t->kept, sizeof *l);
    *l = (struct leftover){.next = t->leftovers, .is_exchange = is_exchange, .name = scratch_copy(&t->kept, name)};
    if (t->peer->is_remote)
        t->leftovers = l;
}

/* A connection that can still be asked something. */
static bool is_well(const struct client *c)
{
    return c->line >= 0 && !c->is_raw && !c->is_ending && !c->has_ended && !c->peer->has_closed(c->peer, c->line);
}

bool talk_nothing_left(struct talk *t)
{
    for (struct client *c = t->clients; c != NULL; c = c->next) {
        if (c->line < 0)
            continue;
        t->client = c;
        client_let_go(c);
        client_settle_all(c, true);
        while (client_receive(c, 0))
            ;
        for (struct channel *ch = c->channels; ch != NULL; ch = ch->next) {
            talk_skip(t, ch);
            if (ch->first != NULL) {
                talk_fail(t, "at the end, client %s has not heard on channel %u:", c->name, ch->number);
                fputs("  came: ", t->report);
                arrival_print(t->report, ch->first);
                fputc('\n', t->report);
                return false;
            }
        }
        if (c->broken != NULL)
            return talk_fail(t, "client %s: the server sent %s", c->name, c->broken);
    }
    return true;
}

static void say_goodbye(struct talk *t, struct client *c)
{
    static const char close[] = "> connection.close reply-code=200 reply-text=\"goodbye\"";
    t->client = c;
    if (is_well(c) && talk_say(t, close))
        while (!c->is_ending && client_receive(c, PATIENCE_MS))
            ;
}

/* Deletes one thing; a channel that was closed for it is opened again. */
static bool delete_leftover(struct talk *t, const struct leftover *l)
{
    variables_set_bytes(&t->vars, "leftover", l->name);
    if (!talk_say(t, l->is_exchange ? "> exchange.delete exchange=$leftover" : "> queue.delete queue=$leftover"))
        return false;
    struct arrival *a = client_take(t->client, t->client->current);
    uint32_t id = a == NULL ? 0 : arrival_method(a);
    arrival_destroy(a);
    if (id != METHOD_channel_close)
        return id != 0;
    return talk_say(t, "> channel.close-ok") && talk_say(t, "> channel.open") && talk_say(t, "< channel.open-ok");
}

static void delete_leftovers(struct talk *t)
{
    bool ok = talk_say(t, "client the-one-who-tidies-up");
    for (const struct leftover *l = t->leftovers; l != NULL && ok; l = l->next)
        ok = delete_leftover(t, l);
    if (ok)
        say_goodbye(t, t->client);
}

void talk_leave(struct talk *t)
{
    bool failed = t->failed;
    for (struct client *c = t->clients; c != NULL; c = c->next) {
        if (!failed)
            say_goodbye(t, c);
        client_drop(c);
    }
    if (failed && t->peer->is_remote)
        t->peer->wait(t->peer, DROP_PAUSE_MS);
    if (t->leftovers != NULL)
        delete_leftovers(t);
    while (t->clients != NULL) {
        struct client *c = t->clients;
        t->clients = c->next;
        client_destroy(c);
    }
}
