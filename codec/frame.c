#include "codec/frame.h"

enum frame_verdict frame_cut(struct bytes in, uint32_t max_payload, struct frame *out, size_t *used)
{
    *used = 0;
    *out = (struct frame){0};
    if (in.len < FRAME_HEAD)
        return FRAME_SHORT;

    struct cursor c = cursor_over(in);
    out->type = cursor_u8(&c);
    out->channel = cursor_u16(&c);
    uint32_t size = cursor_u32(&c);
    if (size > max_payload) {
        out->payload.len = size;
        return FRAME_TOO_LARGE;
    }
    /* The end octet must be there too.  Said this way round, nothing can overflow. */
    if (cursor_left(&c) <= size)
        return FRAME_SHORT;
    out->payload = cursor_take(&c, size);
    if (cursor_u8(&c) != FRAME_END)
        return FRAME_BAD_END;
    *used = (size_t)size + FRAME_OVERHEAD;
    return FRAME_OK;
}

uint8_t *frame_open(struct pen *p, uint8_t type, uint16_t channel)
{
    pen_u8(p, type);
    pen_u16(p, channel);
    return pen_length(p);
}

void frame_close(struct pen *p, uint8_t *mark)
{
    pen_fill(p, mark);
    pen_u8(p, FRAME_END);
}
