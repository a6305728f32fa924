#include "tests/fuzz/witness.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "codec/frame.h"
#include "codec/method.h"

enum { CHANNELS = 65536, HEADER_SIZE = 8 };

/* What a channel is to the client. */
enum channel {
    UNUSED,
    OPEN,
    CLOSED_BY_SERVER, /* channel.close came: nothing but close-ok may follow, or open-ok when it is opened again */
};

struct witness {
    uint8_t *kept; /* owned: what is not a whole frame yet */
    size_t len, capacity;
    bool greeted;             /* connection.start, or the protocol header, came */
    bool over;                /* that was the protocol header: nothing more may come */
    bool closed;              /* connection.close or close-ok came */
    bool is_open;             /* connection.open-ok came */
    bool needs_header;        /* a method announced a content */
    uint64_t missing;         /* bytes of body that must come next … */
    uint16_t content_channel; /* … on this channel */
    uint64_t last_tag[CHANNELS];
    uint8_t channels[CHANNELS]; /* enum channel */
};

struct witness *witness_create(void)
{
    return alloc_zeroed(sizeof(struct witness));
}

void witness_destroy(struct witness *w)
{
    free(w->kept);
    free(w);
}

static void read_connection_method(struct witness *w, const union method *m)
{
    switch ((int)m->id) {
    case METHOD_connection_start:
        CHECK(!w->greeted);
        w->greeted = true;
        break;
    case METHOD_connection_open_ok:
        CHECK(!w->is_open && !w->closed);
        w->is_open = true;
        break;
    case METHOD_connection_close:
        CHECK(!w->closed);
        w->closed = true;
        break;
    case METHOD_connection_close_ok:
        w->closed = true;
        break;
    default:
        CHECK(!w->closed);
        CHECK(m->id >> 16 == 10);
        break;
    }
}

static void read_tag(struct witness *w, uint16_t channel, uint64_t tag)
{
    CHECK(tag == w->last_tag[channel] + 1); /* strictly, and without a gap */
    w->last_tag[channel] = tag;
}

static void read_channel_method(struct witness *w, uint16_t channel, const union method *m)
{
    uint8_t *state = &w->channels[channel];
    CHECK(w->is_open && !w->closed);
    switch ((int)m->id) {
    case METHOD_channel_open_ok:
        CHECK(*state != OPEN);
        *state = OPEN;
        w->last_tag[channel] = 0;
        return;
    case METHOD_channel_close:
        CHECK(*state == OPEN);
        *state = CLOSED_BY_SERVER;
        return;
    case METHOD_channel_close_ok:
        CHECK(*state != UNUSED);
        if (*state == OPEN)
            *state = UNUSED;
        return;
    case METHOD_basic_deliver:
        read_tag(w, channel, m->basic_deliver.delivery_tag);
        break;
    case METHOD_basic_get_ok:
        read_tag(w, channel, m->basic_get_ok.delivery_tag);
        break;
    default:
        break;
    }
    CHECK(*state == OPEN);
}

static void read_method(struct witness *w, const struct frame *f)
{
    union method m;
    enum method_verdict v = method_decode(f->payload, &m);
    CHECK(v == METHOD_OK || v == METHOD_BAD_UTF8); /* a reply text may quote what a client called something */
    const struct method_info *info = method_find(m.id);
    CHECK(info->flags & FROM_SERVER);
    if (f->channel == 0)
        read_connection_method(w, &m);
    else
        read_channel_method(w, f->channel, &m);
    w->needs_header = (info->flags & HAS_CONTENT) != 0;
    w->content_channel = f->channel;
}

/* One content is never mixed with anything else. */
static void read_frame(struct witness *w, const struct frame *f)
{
    CHECK(!w->over);
    if (w->needs_header) {
        struct cursor c = cursor_over(f->payload);
        CHECK(f->type == FRAME_HEADER && f->channel == w->content_channel);
        CHECK(cursor_u32(&c) == 60 << 16);
        w->missing = cursor_u64(&c);
        w->needs_header = false;
    } else if (w->missing > 0) {
        CHECK(f->type == FRAME_BODY && f->channel == w->content_channel);
        CHECK(f->payload.len > 0 && f->payload.len <= w->missing);
        w->missing -= f->payload.len;
    } else if (f->type == FRAME_HEARTBEAT) {
        CHECK(f->channel == 0 && f->payload.len == 0);
    } else {
        CHECK(f->type == FRAME_METHOD);
        read_method(w, f);
    }
}

static size_t read_one(struct witness *w, struct bytes b)
{
    struct frame f;
    size_t used;
    if (b.len >= HEADER_SIZE && b.at[0] == 'A') {
        CHECK(!w->greeted && memcmp(b.at, "AMQP\0\0\x09\x01", HEADER_SIZE) == 0);
        w->greeted = w->over = true;
        return HEADER_SIZE;
    }
    if (b.at[0] == 'A')
        return 0;
    switch (frame_cut(b, UINT32_MAX, &f, &used)) {
    case FRAME_OK:
        read_frame(w, &f);
        return used;
    case FRAME_SHORT:
        return 0;
    case FRAME_TOO_LARGE:
    case FRAME_BAD_END:
        break;
    }
    check_failed("a frame ends where it says", __FILE__, __LINE__);
}

void witness_read(struct witness *w, struct bytes b)
{
    size_t done = 0, used;
    if (w->len + b.len > w->capacity) {
        w->capacity = alloc_grown(w->capacity, w->len + b.len);
        w->kept = alloc_array(w->kept, w->capacity, 1);
    }
    if (b.len > 0)
        memcpy(w->kept + w->len, b.at, b.len);
    w->len += b.len;
    while (done < w->len && (used = read_one(w, bytes_of(w->kept + done, w->len - done))) > 0)
        done += used;
    w->len -= done;
    memmove(w->kept, w->kept + done, w->len);
}
