#include "broker/model/waiting.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "broker/model/active.h"
#include "broker/model/consumer.h"
#include "broker/model/groups.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/replay.h"
#include "broker/model/state.h"
#include "codec/table.h"

enum { NAME_SHOWN_MAX = 100, MS_PER_S = 1000 };

struct bytes waiting_name(struct bytes name)
{
    if (name.len <= NAME_SHOWN_MAX)
        return name;
    size_t len = NAME_SHOWN_MAX;
    while (len > 0 && (name.at[len] & 0xc0) == 0x80)
        len--;
    return bytes_of(name.at, len);
}

__attribute__((format(printf, 3, 4))) static void say(struct waiting *w, const char *word, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(w->text, sizeof w->text, format, args);
    va_end(args);
    w->word = word;
}

/* ---- It may not have more. */

/* How long the oldest of what it holds has been out, in seconds; false: too many others stand before it. */
static bool find_oldest(const struct broker *b, const struct consumer *c, uint64_t *s)
{
    const struct entry *e;
    unsigned looked = 0;
    list_each (e, &c->stream->out, const struct entry, in_stream) {
        if (e->consumer == c) {
            *s = (uint32_t)((uint32_t)b->now.ms - e->out_since) / MS_PER_S;
            return true;
        }
        if (++looked == WAITING_LOOKED)
            break;
    }
    return false;
}

static void say_prefetch(const struct broker *b, const struct consumer *c, struct waiting *w)
{
    uint64_t s;
    if (find_oldest(b, c, &s))
        say(w, "prefetch",
            "It holds %" PRIu32 " unacknowledged deliver%s and its prefetch is %" PRIu32 "; the oldest is %" PRIu64
            " s old.",
            c->out, c->out == 1 ? "y" : "ies", c->limit, s);
    else
        say(w, "prefetch", "It holds %" PRIu32 " unacknowledged deliver%s and its prefetch is %" PRIu32 ".", c->out,
            c->out == 1 ? "y" : "ies", c->limit);
}

static void say_not_active(const struct consumer *c, struct waiting *w)
{
    const struct queue *q = c->queue;
    const struct consumer *who = q->retiring != NULL ? q->retiring : q->active;
    struct bytes tag = who != NULL ? waiting_name(who->tag) : (struct bytes){0};
    if (who == NULL)
        say(w, "not_active", "The queue has a single active consumer, and none is at the moment.");
    else if (q->active == c)
        say(w, "not_active",
            "It is to be the single active consumer when '%.*s', which was, has settled its %" PRIu32
            " unacknowledged deliver%s.",
            BYTES_ARG(tag), who->out, who->out == 1 ? "y" : "ies");
    else
        say(w, "not_active",
            "The queue has a single active consumer, which is '%.*s'%s; this one takes over when that one goes.",
            BYTES_ARG(tag), who == q->retiring ? " until it has settled what it holds" : "");
}

/* False: it may be given something, if there is something. */
static bool say_refusal(const struct broker *b, const struct consumer *c, struct waiting *w)
{
    const struct queue *q = c->queue;
    const struct stream *s = c->stream;
    if (q->is_paused)
        say(w, "queue_paused",
            "The queue is paused: nobody is given anything until it is resumed.  %" PRIu64 " message%s ready.",
            q->ready_count, q->ready_count == 1 ? " is" : "s are");
    else if (!active_may_serve(q, c))
        say_not_active(c, w);
    else if (!c->no_ack && c->limit > 0 && c->out >= c->limit)
        say_prefetch(b, c, w);
    else if (!c->no_ack && stream_is_starved(s))
        say(w, "channel_prefetch",
            "The consumers of its channel together hold %" PRIu32
            " unacknowledged deliveries, and the channel's prefetch is %" PRIu32 "; %" PRIu32 " of them are its own.",
            s->credit_used, s->credit_limit, c->out);
    else if (c->outlet->window <= 0)
        say(w, "client_not_reading",
            "Its client does not read: the connection's window is used up, by %" PRId64
            " bytes beyond its end, and deliveries wait until the client has read from its socket.",
            -c->outlet->window);
    else
        return false;
    return true;
}

/* ---- There is nothing for it. */

static void say_of_stream(const struct consumer *c, struct waiting *w)
{
    const struct replay *r = c->replay;
    const struct queue *q = c->queue;
    if (r->is_seeking)
        say(w, "loading", "The offset at which it begins is being looked for in the stream.");
    else if (r->next >= q->next_position)
        say(w, "queue_empty", "It has read the stream to its end: the next message will have offset %" PRIu64 ".",
            q->next_position);
    else if (r->is_loading && r->loads[0] == NULL)
        say(w, "loading", "What it reads next, at offset %" PRIu64 " of %" PRIu64 ", is being read from disk.", r->next,
            q->next_position);
    else
        say(w, "nothing", "It is being given the stream, and is at offset %" PRIu64 " of %" PRIu64 ".", r->next,
            q->next_position);
}

/* Who is given what comes, before this one. */
static const struct consumer *find_preferred(const struct consumer *c)
{
    const struct consumer *other;
    unsigned looked = 0;
    list_each (other, &c->queue->ring, const struct consumer, waiting) {
        if (other->priority <= c->priority || ++looked > WAITING_LOOKED)
            break;
        if (consumer_can_take(other))
            return other;
    }
    return NULL;
}

static void say_empty(const struct broker *b, const struct consumer *c, struct waiting *w)
{
    const struct queue *q = c->queue;
    const char *blocked = b->alarms_told != 0 ? "  Publishers are blocked: an alarm is set." : "";
    uint64_t back = q->waiting.count;
    if (q->out_count > 0)
        say(w, "queue_empty",
            "No message is ready: %" PRIu64 " %s out with consumers and not acknowledged, %" PRIu32
            " of them with it.%s",
            q->out_count, q->out_count == 1 ? "is" : "are", c->out, blocked);
    else if (back > 0)
        say(w, "queue_empty",
            "No message is ready: %" PRIu64 " %s given back, and will be ready again after a delay.%s", back,
            back == 1 ? "was" : "were", blocked);
    else
        say(w, "queue_empty", "The queue is empty.%s", blocked);
}

static void say_ready(const struct consumer *c, struct waiting *w)
{
    const struct queue *q = c->queue;
    if (q->groups != NULL && groups_pick(q->groups, c) == NULL)
        say(w, "group_locked",
            "%" PRIu64 " message%s ready, all of those in memory in groups of which other consumers hold messages: "
            "they must settle those first.",
            q->ready_count, q->ready_count == 1 ? " is" : "s are");
    else if (queue_head(q) == NULL && q->cold.count > 0)
        say(w, "loading", "%" PRIu64 " message%s ready, and being read from disk.", q->ready_count,
            q->ready_count == 1 ? " is" : "s are");
    else
        say(w, "nothing", "%" PRIu64 " message%s ready, and it is being given its share.", q->ready_count,
            q->ready_count == 1 ? " is" : "s are");
}

void waiting_explain(const struct broker *b, const struct consumer *c, struct waiting *w)
{
    const struct consumer *preferred;
    if (say_refusal(b, c, w))
        return;
    if (c->replay != NULL) {
        say_of_stream(c, w);
    } else if (c->queue->ready_count > 0) {
        say_ready(c, w);
    } else if ((preferred = find_preferred(c)) != NULL) {
        struct bytes tag = waiting_name(preferred->tag);
        say(w, "lower_priority",
            "The queue is empty, and whatever comes goes first to '%.*s', whose priority is %" PRId64
            "; this one's is %" PRId64 ".",
            BYTES_ARG(tag), preferred->priority, c->priority);
    } else {
        say_empty(b, c, w);
    }
}

void waiting_put(struct pen *row, const struct broker *b, const struct consumer *c)
{
    struct waiting w;
    waiting_explain(b, c, &w);
    table_put_i64(row, BYTES("messages_unacknowledged"), c->out);
    table_put_string(row, BYTES("waiting_for"), bytes_of_string(w.word));
    table_put_string(row, BYTES("explanation"), bytes_of_string(w.text));
}
