#include "tests/talk/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/frame.h"
#include "codec/method.h"

enum { SETTLE_PAUSE_MS = 8, FLOWS_MAX = 64 };

struct client *client_create(struct peer *peer, const char *name)
{
    struct client *c = alloc_zeroed(sizeof *c);
    c->peer = peer;
    c->name = alloc_copy(name, strlen(name) + 1);
    c->line = -1;
    return c;
}

static void client_forget(struct client *c)
{
    while (c->channels != NULL) {
        struct channel *ch = c->channels;
        c->channels = ch->next;
        while (ch->first != NULL) {
            struct arrival *a = ch->first;
            ch->first = a->next;
            arrival_destroy(a);
        }
        free(ch);
    }
    arrival_destroy(c->unfinished);
    c->unfinished = NULL;
    buffer_fini(&c->in);
    buffer_fini(&c->held);
    c->current = NULL;
}

void client_destroy(struct client *c)
{
    client_drop(c);
    free(c->name);
    free(c);
}

bool client_connect(struct client *c)
{
    c->line = c->peer->open(c->peer);
    c->frame_max = FRAME_MIN_SIZE;
    c->is_ending = c->has_ended = c->is_holding = false;
    c->heartbeats = 0;
    c->broken = NULL;
    c->current = client_channel(c, 0);
    return c->line >= 0;
}

void client_drop(struct client *c)
{
    if (c->line >= 0)
        c->peer->drop(c->peer, c->line);
    c->line = -1;
    client_forget(c);
}

struct channel *client_channel(struct client *c, uint16_t number)
{
    for (struct channel *ch = c->channels; ch != NULL; ch = ch->next)
        if (ch->number == number)
            return ch;
    struct channel *ch = alloc_zeroed(sizeof *ch);
    ch->number = number;
    ch->next = c->channels;
    c->channels = ch;
    return ch;
}

/* ---- What comes. */

static void trace(const struct client *c, const char *way, const struct arrival *a)
{
    if (!c->traces)
        return;
    printf("# %s %s on %u: ", c->name, way, a->channel);
    arrival_print(stdout, a);
    puts("");
    fflush(stdout);
}

static void client_keep(struct client *c, struct arrival *a)
{
    struct channel *ch = client_channel(c, a->channel);
    if (ch->first == NULL)
        ch->first = a;
    else
        ch->last->next = a;
    ch->last = a;
}

static void flow_sent(struct channel *ch, bool ours)
{
    if (ch->flows_n < FLOWS_MAX)
        ch->flows |= (uint64_t)ours << ch->flows_n++;
}

/* True if that flow-ok answers a flow of client_settle()'s. */
static bool flow_is_ours(struct channel *ch)
{
    bool ours = (ch->flows & 1) != 0;
    if (ch->flows_n == 0)
        return false;
    ch->flows >>= 1;
    ch->flows_n--;
    return ours;
}

static void on_start(struct client *c, const struct arrival *a)
{
    union method m;
    struct field f;
    if (method_decode(a->payload, &m) == METHOD_OK)
        c->is_millrace = table_find(m.connection_start.server_properties, BYTES("broker"), &f) && f.type == 'S' &&
                         bytes_equal(f.bytes, BYTES("Millrace"));
}

/* What the method says about the connection's and the channel's state.  False: nobody shall hear of it. */
static bool client_hears(struct client *c, struct channel *ch, const struct arrival *a)
{
    switch (arrival_method(a)) {
    case METHOD_connection_start:
        on_start(c, a);
        break;
    case METHOD_connection_close:
        c->is_ending = true;
        break;
    case METHOD_connection_close_ok:
        c->is_ending = c->has_ended = true;
        break;
    case METHOD_channel_open_ok:
        ch->is_open = true;
        ch->is_ahead = ch->is_half_sent = false;
        ch->flows = ch->flows_n = 0;
        break;
    case METHOD_channel_close:
    case METHOD_channel_close_ok:
        ch->is_open = false;
        break;
    case METHOD_channel_flow_ok:
        return !flow_is_ours(ch);
    default:
        break;
    }
    return true;
}

static bool has_content(const struct arrival *a)
{
    const struct method_info *info = method_find(arrival_method(a));
    return info != NULL && (info->flags & HAS_CONTENT) != 0;
}

static void client_broken(struct client *c, const char *how)
{
    if (c->broken == NULL)
        c->broken = how;
}

static void on_whole(struct client *c, struct arrival *a)
{
    trace(c, "<", a);
    if (a->type == FRAME_HEARTBEAT) {
        c->heartbeats++;
        arrival_destroy(a);
    } else if (client_hears(c, client_channel(c, a->channel), a))
        client_keep(c, a);
    else
        arrival_destroy(a);
}

/* A header or body frame that belongs to c->unfinished. */
static void on_content(struct client *c, const struct frame *f)
{
    struct arrival *a = c->unfinished;
    if (f->type == FRAME_HEADER && !a->has_header && f->payload.len >= 14) {
        struct cursor cur = cursor_over(f->payload);
        cursor_take(&cur, 4);
        a->body_size = cursor_u64(&cur);
        a->has_header = true;
        a->header = scratch_copy(&a->memory, f->payload);
    } else if (f->type == FRAME_BODY && a->has_header) {
        if (a->body_frames < BODY_FRAMES_MAX)
            a->body_frame[a->body_frames] = (uint32_t)f->payload.len;
        a->body_frames++;
        buffer_add(&a->body, f->payload);
        if (f->payload.len == 0)
            client_broken(c, "an empty body frame");
    } else
        client_broken(c, "a content whose frames are not in order");
    if (arrival_is_whole(a)) {
        c->unfinished = NULL;
        on_whole(c, a);
    }
}

static void on_frame(struct client *c, const struct frame *f)
{
    if (c->unfinished != NULL && c->unfinished->channel == f->channel) {
        on_content(c, f);
        return;
    }
    if (c->unfinished != NULL)
        client_broken(c, "a content mixed with frames of another channel");
    struct arrival *a = alloc_zeroed(sizeof *a);
    a->type = f->type;
    a->channel = f->channel;
    a->payload = scratch_copy(&a->memory, f->payload);
    a->has_content = has_content(a);
    if (c->is_ending && f->type != FRAME_HEARTBEAT && arrival_method(a) != METHOD_connection_close_ok &&
        arrival_method(a) != METHOD_connection_close)
        client_broken(c, "a frame behind the connection's end");
    if (a->has_content && c->unfinished == NULL)
        c->unfinished = a;
    else
        on_whole(c, a);
}

static void client_cut(struct client *c)
{
    for (;;) {
        struct frame f;
        size_t used = 0;
        struct bytes in = buffer_bytes(&c->in);
        if (in.len == 0 || in.at[0] == 'A') /* a protocol header: the conversation asks for it as bytes */
            return;
        enum frame_verdict v = frame_cut(in, UINT32_MAX - FRAME_OVERHEAD, &f, &used);
        if (v == FRAME_BAD_END)
            client_broken(c, "a frame with a bad end");
        if (v != FRAME_OK)
            return;
        on_frame(c, &f);
        buffer_use(&c->in, used);
    }
}

bool client_receive(struct client *c, unsigned timeout_ms)
{
    if (c->line < 0 || !c->peer->receive(c->peer, c->line, &c->in, timeout_ms))
        return false;
    client_cut(c);
    return true;
}

struct arrival *client_take(struct client *c, struct channel *ch)
{
    client_let_go(c);
    while (ch->first == NULL && client_receive(c, PATIENCE_MS))
        ;
    struct arrival *a = ch->first;
    if (a != NULL)
        ch->first = a->next;
    return a;
}

/* ---- What is sent. */

static bool is_asynchronous(uint32_t method)
{
    return method == METHOD_basic_publish || method == METHOD_basic_ack || method == METHOD_basic_nack ||
           method == METHOD_basic_reject || method == METHOD_basic_recover_async;
}

static void note_sent(struct client *c, struct channel *ch, const struct words *w)
{
    uint32_t method = wire_method(w->verb);
    if (method == 0 || words_has(w, "alone"))
        ch->is_half_sent = true;
    if (method == METHOD_channel_close)
        ch->is_open = false;
    if (method == METHOD_connection_close)
        c->has_ended = true;
    if (method == METHOD_channel_flow)
        flow_sent(ch, false);
    ch->is_ahead = is_asynchronous(method);
}

void client_send(struct client *c, struct channel *ch, const struct words *w, struct bytes b)
{
    note_sent(c, ch, w);
    if (c->line < 0)
        return;
    if (c->is_holding)
        buffer_add(&c->held, b);
    else
        c->peer->send(c->peer, c->line, b);
}

void client_let_go(struct client *c)
{
    struct bytes b = buffer_bytes(&c->held);
    c->is_holding = false;
    if (b.len > 0 && c->line >= 0)
        c->peer->send(c->peer, c->line, b);
    buffer_use(&c->held, b.len);
}

static bool client_can_settle(const struct client *c, const struct channel *ch)
{
    return c->peer->is_remote && c->line >= 0 && ch->number != 0 && ch->is_open && !ch->is_half_sent && !c->is_ending &&
           !c->has_ended && c->broken == NULL && !c->is_holding;
}

void client_settle(struct client *c, struct channel *ch)
{
    ch->is_ahead = false;
    if (!client_can_settle(c, ch))
        return;
    static const uint8_t flow[] = {FRAME_METHOD, 0, 0, 0, 0, 0, 5, 0, 20, 0, 20, 1, FRAME_END};
    uint8_t frame[sizeof flow];
    memcpy(frame, flow, sizeof flow);
    frame[1] = (uint8_t)(ch->number >> 8);
    frame[2] = (uint8_t)ch->number;
    c->peer->send(c->peer, c->line, bytes_of(frame, sizeof frame));
    flow_sent(ch, true);
    while (ch->flows != 0 && client_can_settle(c, ch) && client_receive(c, PATIENCE_MS))
        ;
    while (client_receive(c, SETTLE_PAUSE_MS))
        ;
}

void client_settle_all(struct client *c, bool even_if_not_ahead)
{
    for (struct channel *ch = c->channels; ch != NULL; ch = ch->next)
        if (ch->is_ahead || even_if_not_ahead)
            client_settle(c, ch);
}
