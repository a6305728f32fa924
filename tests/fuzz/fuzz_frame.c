/* Cuts an input into frames, as a connection does, and writes each as it was.
 *
 * Input: 2 octets, the largest payload allowed; then what a peer sent. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "codec/frame.h"
#include "tests/fuzz/fuzz.h"

static void check_same_when_written(const struct frame *f, struct bytes was)
{
    uint8_t *room = alloc(was.len);
    struct pen p = pen_over(room, was.len);
    uint8_t *mark = frame_open(&p, f->type, f->channel);
    pen_bytes(&p, f->payload);
    frame_close(&p, mark);
    CHECK(!p.full);
    CHECK(bytes_equal(pen_written(&p), was));
    free(room);
}

/* Whatever the head promises, less than the whole is short, unless the head alone says too large. */
static void check_short_when_cut(struct bytes whole, uint32_t max_payload)
{
    struct frame f;
    size_t used;
    for (size_t len = 0; len < whole.len; len += 1 + len / 8) {
        CHECK(frame_cut(bytes_of(whole.at, len), max_payload, &f, &used) == FRAME_SHORT);
        CHECK(used == 0);
    }
}

static void check_refusal(struct bytes in, uint32_t max_payload, enum frame_verdict verdict, const struct frame *f)
{
    struct cursor c = cursor_over(in);
    cursor_take(&c, 3);
    uint32_t size = cursor_u32(&c);
    switch (verdict) {
    case FRAME_SHORT:
        CHECK(in.len < FRAME_HEAD || (size <= max_payload && in.len < (size_t)size + FRAME_OVERHEAD));
        break;
    case FRAME_TOO_LARGE:
        CHECK(in.len >= FRAME_HEAD && f->payload.len == size && size > max_payload && f->payload.at == NULL);
        break;
    case FRAME_BAD_END:
        CHECK(f->payload.len == size && size <= max_payload && in.len >= f->payload.len + FRAME_OVERHEAD);
        CHECK(f->payload.at[f->payload.len] != FRAME_END);
        break;
    case FRAME_OK:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct cursor c = cursor_over(bytes_of(at, len));
    uint32_t max_payload = cursor_u16(&c);
    struct bytes in = cursor_take(&c, cursor_left(&c));
    for (;;) {
        struct frame f;
        size_t used;
        enum frame_verdict verdict = frame_cut(in, max_payload, &f, &used);
        if (verdict != FRAME_OK) {
            CHECK(used == 0);
            check_refusal(in, max_payload, verdict, &f);
            return 0;
        }
        CHECK(used <= in.len && f.payload.len <= max_payload);
        check_same_when_written(&f, bytes_of(in.at, used));
        check_short_when_cut(bytes_of(in.at, used), max_payload);
        in = bytes_of(in.at + used, in.len - used);
    }
}
