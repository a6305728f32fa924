/* Runs: queue, first position, count and bytes as varints; queue and first as zigzag distances from what the run before
 * ended with, modulo 2^64. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/store/format.h"

static const uint64_t RUN_COUNT_MAX = UINT32_MAX; /* so that count times bytes fits */

/* Small for distances that are small either way. */
static uint64_t zigzag(uint64_t distance)
{
    return distance << 1 ^ (distance >> 63 != 0 ? UINT64_MAX : 0);
}

static uint64_t zagzig(uint64_t v)
{
    return v >> 1 ^ ((v & 1) != 0 ? UINT64_MAX : 0);
}

void run_writer_init(struct run_writer *w)
{
    *w = (struct run_writer){0};
}

void run_writer_fini(struct run_writer *w)
{
    free(w->at);
    run_writer_init(w);
}

/* Writes what is open. */
static void close_run(struct run_writer *w)
{
    const struct run *r = &w->run;
    if (r->count == 0)
        return;
    if (w->capacity - w->len < RUN_BYTES_MAX) {
        w->capacity = alloc_grown(w->capacity, w->len + RUN_BYTES_MAX);
        w->at = alloc_array(w->at, w->capacity, 1);
    }
    struct pen p = pen_over(w->at + w->len, w->capacity - w->len);
    pen_varint(&p, zigzag(r->queue - w->last_queue));
    pen_varint(&p, zigzag(r->first - w->last_position));
    pen_varint(&p, r->count);
    pen_varint(&p, r->bytes);
    w->len += pen_written(&p).len;
    w->last_queue = r->queue;
    w->last_position = r->first + r->count - 1;
    w->run.count = 0;
}

void run_add(struct run_writer *w, uint64_t queue, uint64_t position, uint64_t bytes)
{
    CHECK(queue != 0 && bytes <= FORMAT_BODY_MAX);
    struct run *r = &w->run;
    if (r->count > 0 && r->count < RUN_COUNT_MAX && r->queue == queue && r->bytes == bytes) {
        bool behind = position > r->first && position - r->first == r->count;
        bool before = position < r->first && r->first - position == 1;
        if (behind || before) {
            r->first -= before;
            r->count++;
            return;
        }
    }
    close_run(w);
    *r = (struct run){.queue = queue, .first = position, .count = 1, .bytes = bytes};
}

struct bytes run_end(struct run_writer *w)
{
    close_run(w);
    return bytes_of(w->at, w->len);
}

void run_clear(struct run_writer *w)
{
    w->run.count = 0;
    w->last_queue = w->last_position = 0;
    w->len = 0;
}

void run_reader_init(struct run_reader *r, struct bytes meta)
{
    *r = (struct run_reader){.c = cursor_over(meta)};
}

bool run_next(struct run_reader *r, struct run *out)
{
    *out = (struct run){0};
    if (cursor_left(&r->c) == 0)
        return false;
    struct run run;
    run.queue = r->last_queue + zagzig(cursor_varint(&r->c));
    run.first = r->last_position + zagzig(cursor_varint(&r->c));
    run.count = cursor_varint(&r->c);
    run.bytes = cursor_varint(&r->c);
    if (run.queue == 0 || run.count == 0 || run.count > RUN_COUNT_MAX || run.count - 1 > UINT64_MAX - run.first ||
        run.bytes > FORMAT_BODY_MAX)
        r->c.bad = true;
    if (r->c.bad)
        return false;
    r->last_queue = run.queue;
    r->last_position = run.first + run.count - 1;
    *out = run;
    return true;
}
