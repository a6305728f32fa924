#include "amqp/channel.h"

#include <stdlib.h>

#include "amqp/confirms.h"
#include "amqp/consume.h"
#include "amqp/content.h"
#include "amqp/dispatch.h"
#include "amqp/express.h"
#include "amqp/publish.h"
#include "amqp/state.h"
#include "amqp/tx.h"
#include "amqp/unacked.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

/* ---- Numbers and streams. */

void channels_init(struct channels *all)
{
    *all = (struct channels){0};
    slots_init(&all->streams);
}

static struct channel_page *page_find(const struct channels *all, uint16_t number)
{
    uint32_t page = number / CHANNEL_PAGE;
    return page < all->page_count ? all->pages[page] : NULL;
}

static struct channel_page *page_make(struct channels *all, uint16_t number)
{
    uint32_t page = number / CHANNEL_PAGE;
    if (page >= all->page_count) {
        uint32_t count = page + 1;
        all->pages = alloc_array(all->pages, count, sizeof(struct channel_page *));
        for (uint32_t i = all->page_count; i < count; i++)
            all->pages[i] = NULL;
        all->page_count = count;
    }
    if (all->pages[page] == NULL)
        all->pages[page] = alloc_zeroed(sizeof(struct channel_page));
    return all->pages[page];
}

struct channel *channel_find(struct session *s, uint16_t number)
{
    struct channels *all = &s->channels;
    if (all->last != NULL && all->last->number == number)
        return all->last;
    const struct channel_page *page = page_find(all, number);
    struct channel *c = page != NULL ? page->at[number % CHANNEL_PAGE] : NULL;
    if (c != NULL)
        all->last = c;
    return c;
}

struct channel *channel_find_stream(const struct session *s, uint16_t stream)
{
    const struct slots *streams = &s->channels.streams;
    return stream < streams->count ? streams->at[stream].item : NULL;
}

static bool was_open(const struct session *s, uint16_t number)
{
    const struct channel_page *page = page_find(&s->channels, number);
    return page != NULL && (page->closed >> number % CHANNEL_PAGE & 1) != 0;
}

/* The number is the channel's, or nobody's. */
static void take_number(struct session *s, struct channel *c)
{
    page_make(&s->channels, c->number)->at[c->number % CHANNEL_PAGE] = c;
}

static void give_number(struct session *s, const struct channel *c)
{
    struct channel_page *page = page_make(&s->channels, c->number);
    page->at[c->number % CHANNEL_PAGE] = NULL;
    page->closed |= UINT32_C(1) << c->number % CHANNEL_PAGE;
    if (s->channels.last == c)
        s->channels.last = NULL;
}

/* ---- Making and freeing. */

static void channel_free(struct session *s, struct channel *c)
{
    if (c->has_stream)
        slots_give(&s->channels.streams, c->stream);
    if (s->channels.last == c)
        s->channels.last = NULL;
    consume_forget_channel(s, c);
    tx_drop(s, c);
    content_fini(s, c);
    list_remove(&c->gathered);
    unacked_destroy(c->unacked);
    confirms_destroy(c->confirms);
    express_destroy(c->express);
    free(c->error);
    free(c->last_queue);
    free(c);
}

void channels_fini(struct session *s)
{
    struct channels *all = &s->channels;
    for (uint32_t i = 0; i < all->streams.count; i++) {
        struct channel *c = all->streams.at[i].item;
        if (c != NULL && c->state == CHANNEL_ENDING)
            channel_free(s, c); /* it has no number any more */
    }
    for (uint32_t page = 0; page < all->page_count; page++) {
        for (unsigned i = 0; all->pages[page] != NULL && i < CHANNEL_PAGE; i++)
            if (all->pages[page]->at[i] != NULL)
                channel_free(s, all->pages[page]->at[i]);
        free(all->pages[page]);
    }
    free((void *)all->pages);
    slots_fini(&all->streams);
    channels_init(all);
}

static struct error *channel_open(struct session *s, uint16_t number)
{
    struct channels *all = &s->channels;
    if (s->channel_max > 0 && all->open_count >= s->channel_max)
        return error_place(error_create(AMQP_NOT_ALLOWED,
                                        "number of channels opened (%u) has reached the negotiated channel_max (%u)",
                                        all->open_count, s->channel_max),
                           0);
    if (all->streams.used >= CHANNEL_STREAMS_MAX)
        return error_create(AMQP_RESOURCE_ERROR, "too many channels");
    uint32_t serial;
    bool behind = page_make(all, number)->ending[number % CHANNEL_PAGE] > 0; /* their close-ok must come first */
    struct channel *c = alloc(sizeof *c);
    *c = (struct channel){.number = number, .state = CHANNEL_OPEN, .has_stream = true};
    c->stream = (uint16_t)slots_take(&all->streams, c, &serial);
    c->serial = (uint16_t)serial;
    list_init(&c->consumers);
    link_init(&c->gathered);
    take_number(s, c);
    all->open_count++;
    if (behind || s->is_counted) {
        session_ask(s, c, s->is_counted ? OPEN : ECHO, METHOD_channel_open, 0);
        return NULL;
    }
    session_send(s, number, &(union method){.channel_open_ok = {.id = METHOD_channel_open_ok}});
    return NULL;
}

/* ---- Frames on a number that is free. */

static struct error *take_stray_method(struct session *s, uint16_t number, const union method *m)
{
    if (m->id == METHOD_channel_open)
        return channel_open(s, number);
    /* RabbitMQ ends the connection; a client with threads may do this in good faith (reference 4.2). */
    bool is_late = m->id == METHOD_basic_ack || m->id == METHOD_basic_nack || m->id == METHOD_basic_reject;
    if (is_late && was_open(s, number))
        return NULL;
    return error_create(AMQP_CHANNEL_ERROR, "expected 'channel.open'");
}

void channel_take_stray(struct session *s, const struct frame *f)
{
    union method m = {.id = 0};
    struct error *e = NULL;
    if (f->type != FRAME_METHOD)
        e = error_create(AMQP_UNEXPECTED_FRAME, "expected method frame, got non method frame instead");
    else
        e = dispatch_decode(f->payload, &m);
    if (e == NULL)
        e = take_stray_method(s, f->channel, &m);
    if (e != NULL)
        session_raise(s, NULL, error_place(e, m.id));
}

/* ---- How a channel ends. */

/* Nothing that the channel had begun will be finished. */
static void channel_abandon(struct session *s, struct channel *c, enum channel_state to)
{
    c->state = (uint8_t)to;
    s->channels.open_count--;
    content_abandon(s, c);
    tx_drop(s, c);
    session_ask(s, c, RESET, 0, 0);
}

void channel_fail(struct session *s, struct channel *c, struct error *e)
{
    bool is_fatal = e->kind->scope == SCOPE_CONNECTION;
    switch ((enum channel_state)c->state) {
    case CHANNEL_OPEN:
        c->error = e;
        s->doomed += is_fatal;
        channel_abandon(s, c, CHANNEL_FAILING);
        return;
    case CHANNEL_FAILING: /* what the model says is about something older than what we found */
        if (!is_fatal && (!e->is_models || c->error->is_models))
            break;
        s->doomed += is_fatal;
        s->doomed -= c->error->kind->scope == SCOPE_CONNECTION;
        free(c->error);
        c->error = e;
        return;
    case CHANNEL_ENDING:
        if (c->error != NULL)
            break;
        c->error = e;
        return;
    case CHANNEL_CLOSING:
        if (!is_fatal)
            break;
        session_raise(s, NULL, e);
        return;
    }
    free(e);
}

static void log_fault(const struct session *s, const struct channel *c)
{
    char name[32];
    const struct error *e = c->error;
    const struct method_info *info = method_find((uint32_t)e->class_id << 16 | e->method_id);
    size_t n = 0;
    for (; e->kind->name[n] != '\0' && n + 1 < sizeof name; n++)
        name[n] = (char)(e->kind->name[n] == '_' ? '_' : e->kind->name[n] | 0x20);
    name[n] = '\0';
    session_log(s, LOG_CHANNEL, LOG_ERROR_LEVEL, "Channel error on ",
                ", channel %u: operation %s caused a channel exception %s: %s", c->number,
                info != NULL ? info->name : "none", name, error_explanation(e));
}

/* Tells the peer why; from now on the channel waits for its close-ok. */
static void report(struct session *s, struct channel *c)
{
    const struct error *e = c->error;
    struct channel_close close = {
        .id = METHOD_channel_close,
        .reply_code = e->kind->code,
        .reply_text = bytes_of_string(e->text),
        .class_id = e->class_id,
        .method_id = e->method_id,
    };
    log_fault(s, c);
    session_send(s, c->number, &(union method){.channel_close = close});
    if (c->owes_close_ok)
        session_send_bare(s, c->number, METHOD_channel_close_ok);
    c->owes_close_ok = false;
    c->state = CHANNEL_CLOSING;
}

void channel_on_reset(struct session *s, struct channel *c)
{
    publish_flush_confirms(s, c);
    consume_forget_channel(s, c);
    slots_give(&s->channels.streams, c->stream);
    c->has_stream = false;
    unacked_destroy(c->unacked);
    confirms_destroy(c->confirms);
    c->unacked = NULL;
    c->confirms = NULL;
    if (c->state == CHANNEL_FAILING) {
        if (c->error->kind->scope == SCOPE_CHANNEL) {
            report(s, c);
            return;
        }
        struct error *e = c->error;
        c->error = NULL;
        c->state = CHANNEL_CLOSING;
        s->doomed--;
        session_raise(s, NULL, e);
        return;
    }
    CHECK(c->state == CHANNEL_ENDING);
    page_make(&s->channels, c->number)->ending[c->number % CHANNEL_PAGE]--;
    /* It had failed already when the peer closed it: the peer is told, unless it uses the number for another. */
    if (c->error != NULL && c->error->kind->scope == SCOPE_CHANNEL && channel_find(s, c->number) == NULL) {
        take_number(s, c);
        c->owes_close_ok = true;
        report(s, c);
        return;
    }
    session_send_bare(s, c->number, METHOD_channel_close_ok);
    channel_free(s, c);
}

/* ---- Handlers. */

struct error *channel_on_open(struct session *s, struct channel *c, const union method *m)
{
    (void)s;
    (void)c;
    (void)m;
    return error_create(AMQP_CHANNEL_ERROR, "second 'channel.open' seen");
}

struct error *channel_on_close(struct session *s, struct channel *c, const union method *m)
{
    (void)m;
    switch ((enum channel_state)c->state) {
    case CHANNEL_OPEN:
        give_number(s, c);
        page_make(&s->channels, c->number)->ending[c->number % CHANNEL_PAGE]++;
        channel_abandon(s, c, CHANNEL_ENDING);
        break;
    case CHANNEL_FAILING: /* both sides at once: ours goes first */
        c->owes_close_ok = true;
        break;
    case CHANNEL_CLOSING:
        session_send_bare(s, c->number, METHOD_channel_close_ok);
        break;
    case CHANNEL_ENDING:
        break;
    }
    return NULL;
}

struct error *channel_on_close_ok(struct session *s, struct channel *c, const union method *m)
{
    (void)m;
    if (c->state == CHANNEL_OPEN)
        return error_create(AMQP_COMMAND_INVALID, "unimplemented method");
    if (c->state == CHANNEL_CLOSING) {
        give_number(s, c);
        channel_free(s, c);
    }
    return NULL;
}

struct error *channel_on_flow(struct session *s, struct channel *c, const union method *m)
{
    if (!m->channel_flow.active)
        return error_create(AMQP_NOT_IMPLEMENTED, "active=false");
    session_ask(s, c, ECHO, m->id, 0);
    return NULL;
}

struct error *channel_on_access_request(struct session *s, struct channel *c, const union method *m)
{
    session_ask(s, c, ECHO, m->id, 0);
    return NULL;
}
