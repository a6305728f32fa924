/* Rows of INSPECT: connections and channels. */
#include "broker/model/access.h"
#include "broker/model/consumer.h"
#include "broker/model/inspect_page.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"
#include "codec/table.h"

static void put_channel(const struct page *p, const struct outlet *o, struct stream *s)
{
    struct bytes connection = connection_name(o);
    struct pen row = row_open(p, connection.len + o->vhost->name.len + o->access->user->name.len);
    const struct consumer *last =
        list_is_empty(&s->consumers) ? NULL : item_of(s->consumers.ring.prev, struct consumer, in_stream);
    row_put_text(&row, "connection", connection);
    row_put_number(&row, "number", s->channel);
    row_put_text(&row, "user", o->access->user->name);
    row_put_text(&row, "vhost", o->vhost->name);
    row_put_flag(&row, "confirm", s->confirms);
    row_put_flag(&row, "transactional", s->is_transactional);
    row_put_number(&row, "consumer_count", s->consumer_count);
    row_put_number(&row, "messages_unacknowledged", s->out_count);
    row_put_number(&row, "messages_unconfirmed", s->unconfirmed);
    row_put_number(&row, "messages_uncommitted", s->uncommitted);
    row_put_number(&row, "acks_uncommitted", s->acks_uncommitted);
    row_put_number(&row, "prefetch_count", s->prefetch == 0 && last != NULL ? last->limit : s->prefetch);
    row_put_number(&row, "global_prefetch_count", s->credit_limit);
    row_put_statistics(p, &row, &s->counted);
    row_close(p, &row);
}

static struct bytes connection_state(const struct outlet *o)
{
    if (o->is_blocked)
        return BYTES("blocked");
    if (o->is_blocking)
        return BYTES("blocking");
    return o->slow.is_slowed ? BYTES("flow") : BYTES("running");
}

static void put_connection(const struct page *p, struct outlet *o)
{
    struct pen row = row_open(p, o->vhost->name.len + o->access->user->name.len + o->facts->arguments.len);
    uint64_t channels = 0;
    for (size_t i = 0; i < o->stream_count; i++)
        channels += o->streams[i] != NULL;
    row_put_text(&row, "vhost", o->vhost->name);
    row_put_text(&row, "user", o->access->user->name);
    row_put_number(&row, "channels", channels);
    row_put_number(&row, "connected_at", o->since_ms);
    row_put_text(&row, "state", connection_state(o));
    row_put_number(&row, "send_pend", o->send_pend);
    pen_bytes(&row, o->facts->arguments);
    row_put_statistics(p, &row, &o->counted);
    row_close(p, &row);
}

/* From that one on.  False: the page was full before the last. */
static bool put_channels(const struct page *p, const struct outlet *o, size_t from)
{
    for (size_t i = from; i < o->stream_count; i++) {
        if (page_is_full(p)) {
            p->to->skip = (uint32_t)i;
            return false;
        }
        if (o->streams[i] != NULL)
            put_channel(p, o, o->streams[i]);
    }
    return true;
}

/* A connection may have more channels than a page. */
void inspect_outlets(const struct page *p)
{
    struct inspection *to = p->to;
    size_t i = to->cursor & ~CURSOR_IS_WITHIN, from = to->skip;
    to->skip = 0;
    for (size_t end = i + BUCKETS_PER_PAGE; i < p->b->outlet_count && i < end && !page_is_full(p); i++, from = 0) {
        struct outlet *o = p->b->outlets[i];
        if (o == NULL || o->facts->hidden || !page_wants(p, connection_name(o)) ||
            (p->vhost != NULL && o->vhost != p->vhost))
            continue;
        if (to->what == INSPECT_CONNECTIONS) {
            put_connection(p, o);
        } else if (!put_channels(p, o, from)) {
            to->cursor = i | CURSOR_IS_WITHIN;
            return;
        }
    }
    to->cursor = i < p->b->outlet_count ? i : 0;
}
