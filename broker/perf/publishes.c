#define _GNU_SOURCE
#include "broker/perf/publishes.h"

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/options.h"
#include "codec/frame.h"

void publishes_init(struct publishes *p, const struct publishes_of *of, size_t room)
{
    uint8_t *body = alloc_zeroed(of->size + 1);
    struct link_message m = {.exchange = bytes_of_string(of->exchange),
                             .routing_key = bytes_of_string(of->keys[0]),
                             .body = bytes_of(body, of->size),
                             .persistent = of->is_persistent,
                             .mandatory = of->is_mandatory};
    *p = (struct publishes){.each = link_message_size(&m, of->frame_max)};
    size_t body_frames = (of->size + of->frame_max - FRAME_OVERHEAD - 1) / (of->frame_max - FRAME_OVERHEAD);
    p->body = p->each - of->size - body_frames * FRAME_OVERHEAD + (body_frames > 0 ? FRAME_HEAD : 0);
    p->count = room / p->each / of->keys_count * of->keys_count;
    if (p->count == 0)
        p->count = of->keys_count;
    p->len = p->count * p->each;
    p->at = alloc_array(NULL, p->count, p->each);
    struct pen pen = pen_over(p->at, p->len);
    for (uint64_t i = 0; i < p->count; i++) {
        m.routing_key = bytes_of_string(of->keys[i % of->keys_count]);
        link_encode_message(&pen, 1, &m, of->frame_max);
        if (pen.full || pen_written(&pen).len != (i + 1) * p->each)
            die("the routing keys are not of one length");
    }
    free(body);
}

void publishes_fini(struct publishes *p)
{
    free(p->at);
    *p = (struct publishes){0};
}

void publishes_stamp(struct publishes *p, uint64_t i, uint64_t ns, uint64_t owner)
{
    struct pen pen = pen_over(p->at + i % p->count * p->each + p->body, PERF_STAMP_SIZE);
    pen_u64(&pen, ns);
    pen_u64(&pen, owner);
}
