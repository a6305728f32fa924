#include "amqp/bulk.h"

#include <assert.h>

#include "amqp/state.h"
#include "base/check.h"
#include "broker/port/message.h"
#include "codec/frame.h"

static_assert((int)BULK_SHOWN > (int)ERROR_OCTETS_SHOWN, "one more than is shown");

/* The message that the frame is of; NULL: it was abandoned, perhaps with its channel, and the rest is swallowed.  It is
 * no other: the peer can say nothing else before the frame is whole. */
static struct message *message_of(struct session *s)
{
    const struct channel *c = channel_find(s, s->bulk.channel);
    return c != NULL ? c->content.msg : NULL;
}

size_t bulk_begin(struct session *s, struct bytes in, uint32_t payload_max)
{
    if (in.len < FRAME_HEAD + BULK_SHOWN || in.at[0] != FRAME_BODY)
        return 0;
    struct cursor head = cursor_over(bytes_of(in.at + 1, FRAME_HEAD - 1));
    uint16_t number = cursor_u16(&head);
    uint32_t size = cursor_u32(&head);
    if (size > payload_max || size < BULK_MIN || in.len - FRAME_HEAD > size - BULK_MIN)
        return 0;
    const struct channel *c = number != 0 ? channel_find(s, number) : NULL;
    if (c == NULL || c->content.phase != CONTENT_BODY || c->content.msg == NULL || size > c->content.missing)
        return 0;
    s->bulk = (struct bulk){.size = size, .left = size, .channel = number};
    memcpy(s->bulk.shown, in.at + FRAME_HEAD, BULK_SHOWN);
    return FRAME_HEAD + bulk_take(s, bytes_of(in.at + FRAME_HEAD, in.len - FRAME_HEAD));
}

size_t bulk_take(struct session *s, struct bytes in)
{
    struct bulk *b = &s->bulk;
    size_t n = in.len < b->left ? in.len : b->left;
    struct message *m = message_of(s);
    if (m != NULL)
        message_fill(m, bytes_of(in.at, n));
    b->left -= (uint32_t)n;
    return n;
}

uint8_t *bulk_room(struct session *s, size_t *n)
{
    struct message *m = s->bulk.left > 0 ? message_of(s) : NULL;
    if (m == NULL)
        return NULL;
    uint8_t *at = message_room(m, n);
    *n = *n < s->bulk.left ? *n : s->bulk.left;
    return at;
}

void bulk_got(struct session *s, size_t n)
{
    CHECK(n <= s->bulk.left);
    message_grew(message_of(s), n);
    s->bulk.left -= (uint32_t)n;
}
