/* Reads an input as what the store finds on disk; the first byte says as what.  Whatever is accepted must come out the
 * same when it is written again. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "broker/port/message.h"
#include "broker/store/format.h"
#include "tests/fuzz/fuzz.h"

/* What was read from the front of b up to c, is what p has written. */
static void check_same(struct bytes b, const struct cursor *c, const struct pen *p)
{
    CHECK(!p->full && bytes_equal(pen_written(p), bytes_of(b.at, (size_t)(c->at - b.at))));
}

/* ---- Files: raw. */

static void try_file_header(struct bytes b)
{
    uint8_t again[FORMAT_FILE_HEADER];
    struct file_header h, other;
    if (b.len < FORMAT_FILE_HEADER)
        return;
    enum header_verdict v = file_header_decode(b.at, &h);
    if (v != HEADER_FINE && v != HEADER_NEWER)
        return;
    file_header_encode(again, &h);
    CHECK(file_header_decode(again, &other) == v);
    CHECK(memcmp(again, b.at, 52) == 0 && memcmp(again + 56, b.at + 56, 40) == 0); /* all but what is reserved */
}

static void check_found(struct bytes b, size_t from, size_t at, uint32_t epoch, uint64_t lsn_min)
{
    struct item item;
    size_t need;
    CHECK(at == b.len || (at >= from && at % FORMAT_ALIGN == 0));
    if (at == b.len)
        return;
    CHECK(item_decode(bytes_of(b.at + at, b.len - at), &item, &need) == ITEM_FINE);
    CHECK(item.epoch == epoch && item.lsn >= lsn_min && need <= b.len - at && need % FORMAT_ALIGN == 0);
}

/* Walks the items, and looks for the next where there is none. */
static void try_items(struct bytes b)
{
    uint32_t epoch = 0;
    for (size_t at = 0, need; at < b.len;) {
        struct item item;
        enum item_verdict v = item_decode(bytes_of(b.at + at, b.len - at), &item, &need);
        if (v == ITEM_SHORT) {
            CHECK(need > b.len - at);
            break;
        }
        if (v == ITEM_NOTHING) {
            size_t next = item_find(b, at + 1, epoch, 0);
            check_found(b, at + 1, next, epoch, 0);
            at = next;
            continue;
        }
        CHECK(need >= FORMAT_ITEM_HEADER && item.meta.len + item.body.len <= need - FORMAT_ITEM_HEADER);
        epoch = item.epoch;
        at += need;
    }
}

/* ---- Files: items with these lengths, and one wrong byte. */

enum { EPOCH = 5, FILE_MAX = 1 << 16 };

static size_t put_item(uint8_t *to, uint64_t lsn, struct bytes meta, struct bytes body)
{
    uint8_t again[FORMAT_ITEM_HEADER];
    struct item_head out, h = {.type = ITEM_PAD, .epoch = EPOCH, .lsn = lsn};
    h.meta_len = (uint32_t)meta.len;
    h.body_len = (uint32_t)body.len;
    h.meta_crc = crc32c(0, meta.at, meta.len);
    h.body_crc = crc32c(0, body.at, body.len);
    item_head_encode(to, &h);
    CHECK(item_head_decode(to, &out));
    item_head_encode(again, &out);
    CHECK(memcmp(again, to, sizeof again) == 0);
    struct pen p = pen_over(to + FORMAT_ITEM_HEADER, meta.len + body.len);
    pen_bytes(&p, meta);
    pen_bytes(&p, body);
    return item_size(meta.len, body.len);
}

/* Only the item with the byte at `wrong` cannot be read.  Where its length is lost too, an imitation may be found. */
static void check_damage(const uint8_t *file, size_t len, size_t wrong)
{
    struct item item;
    uint64_t lsn = 0;
    bool lost = false;
    for (size_t at = 0, need; at < len; at += need) {
        enum item_verdict v = item_decode(bytes_of(file + at, len - at), &item, &need);
        if (v == ITEM_NOTHING) {
            CHECK(lost || (wrong >= at && wrong < at + FORMAT_ITEM_HEADER));
            lost = true;
            size_t next = item_find(bytes_of(file, len), at, EPOCH, lsn + 1);
            check_found(bytes_of(file, len), at, next, EPOCH, lsn + 1);
            CHECK(next > at);
            need = next - at;
            continue;
        }
        CHECK(lost || v == ITEM_FINE || (v != ITEM_SHORT && wrong >= at && wrong < at + need));
        CHECK(lost || item.lsn == lsn + 1);
        if (v == ITEM_SHORT)
            break;
        lsn = item.lsn;
    }
}

static void try_damage(struct bytes b)
{
    uint8_t *file = alloc_zeroed(FILE_MAX + 2 * 256 + FORMAT_ITEM_HEADER);
    struct cursor c = cursor_over(b);
    uint16_t wrong = cursor_u16(&c);
    size_t len = 0;
    for (uint64_t lsn = 1; cursor_left(&c) >= 2 && len < FILE_MAX; lsn++) {
        size_t meta = cursor_u8(&c), body = cursor_u8(&c);
        meta = meta < cursor_left(&c) ? meta : cursor_left(&c);
        struct bytes m = cursor_take(&c, meta);
        body = body < cursor_left(&c) ? body : cursor_left(&c);
        len += put_item(file + len, lsn, m, cursor_take(&c, body));
    }
    if (len > 0) {
        try_items(bytes_of(file, len));
        CHECK(item_find(bytes_of(file, len), 0, EPOCH, 1) == 0);
        file[wrong % len] ^= 0x10;
        check_damage(file, len, wrong % len);
    }
    free(file);
}

/* ---- Metas. */

static void check_message(const struct message_meta *meta, struct bytes body)
{
    struct message *m = message_from_item(meta, body);
    if (m == NULL)
        return;
    struct message_meta again;
    uint32_t crc;
    message_meta_of(&again, m, meta->wall_ms);
    CHECK(again.exchange_len == meta->exchange_len && again.key_len == meta->key_len);
    CHECK(again.properties_len == meta->properties_len && again.extra_keys_len == meta->extra_keys_len);
    CHECK(again.body_size == meta->body_size && again.cc_count == meta->cc_count && again.deaths == meta->deaths);
    CHECK(again.expiration_ms == meta->expiration_ms && again.message_flags == meta->message_flags);
    CHECK(message_missing(m) == 0 && message_item_body_size(m) == body.len);
    uint8_t *room = alloc(body.len);
    message_item_body_write(room, m, &crc);
    CHECK(bytes_equal(bytes_of(room, body.len), body) && crc == crc32c_by_table(0, body.at, body.len));
    free(room);
    message_unref(m);
}

static void try_message(struct bytes b)
{
    uint8_t room[MESSAGE_META_MAX];
    struct message_meta meta;
    struct cursor c = cursor_over(b);
    if (!message_meta_read(&c, &meta))
        return;
    struct pen p = pen_over(room, sizeof room);
    message_meta_write(&p, &meta);
    check_same(b, &c, &p);
    for (uint32_t i = 0; i < meta.n_places; i++) {
        struct place place;
        struct bytes rest = bytes_of(c.at, cursor_left(&c));
        if (!place_read(&c, &place))
            return;
        p = pen_over(room, PLACE_META_MAX);
        place_write(&p, &place);
        check_same(rest, &c, &p);
    }
    check_message(&meta, bytes_of(c.at, cursor_left(&c)));
}

/* Runs may come in more pieces than they are written in: positions are compared. */
static void check_runs_again(struct bytes meta, struct bytes again)
{
    struct run_reader one, two;
    struct run a = {0}, b = {0};
    run_reader_init(&one, meta);
    run_reader_init(&two, again);
    for (;;) {
        if (a.count == 0 && !run_next(&one, &a))
            break;
        if (b.count == 0)
            CHECK(run_next(&two, &b));
        CHECK(a.queue == b.queue && a.bytes == b.bytes && a.first == b.first);
        uint64_t n = a.count < b.count ? a.count : b.count;
        a.first += n, a.count -= n;
        b.first += n, b.count -= n;
    }
    CHECK(b.count == 0 && !run_next(&two, &b) && !two.c.bad);
}

static void try_runs(struct bytes meta)
{
    struct run_reader r;
    struct run run;
    struct run_writer w;
    uint64_t positions = 0, last_queue = 0, last = 0;
    bool rises = true;
    run_writer_init(&w);
    run_reader_init(&r, meta);
    while (run_next(&r, &run)) {
        CHECK(run.queue != 0 && run.count != 0 && run.first + (run.count - 1) >= run.first);
        CHECK(run.bytes <= UINT64_MAX / run.count);
        rises = rises && (run.queue != last_queue || run.first > last);
        last_queue = run.queue;
        last = run.first + (run.count - 1);
        for (uint64_t i = 0; i < run.count && positions < 10000; i++, positions++)
            run_add(&w, run.queue, run.first + i, run.bytes);
    }
    struct bytes again = run_end(&w);
    if (!r.c.bad && positions < 10000 && rises) /* falling positions are joined from behind */
        check_runs_again(meta, again);
    run_writer_fini(&w);
}

static void try_batch(struct bytes b)
{
    uint8_t room[BATCH_META_MAX];
    struct pen p = pen_over(room, sizeof room);
    struct cursor c = cursor_over(b);
    struct batch_meta batch;
    if (!batch_meta_read(&c, &batch))
        return;
    batch_meta_write(&p, &batch);
    check_same(b, &c, &p);
}

static void try_chunk(struct bytes b)
{
    uint8_t room[CHUNK_META_MAX];
    struct pen p = pen_over(room, sizeof room);
    struct cursor c = cursor_over(b);
    struct chunk_meta chunk;
    if (!chunk_meta_read(&c, &chunk))
        return;
    CHECK(chunk.first <= chunk.last && chunk.offset + chunk.size >= chunk.offset);
    chunk_meta_write(&p, &chunk);
    check_same(b, &c, &p);
}

static void try_definition(struct bytes b)
{
    struct cursor c = cursor_over(b);
    enum definition_class what;
    uint64_t queue;
    struct bytes key, value;
    if (!definition_read(&c, &what, &queue, &key, &value))
        return;
    struct definition *d = definition_create(what, queue, key, value);
    uint8_t *room = alloc(definition_size(d));
    struct pen p = pen_over(room, definition_size(d));
    definition_write(&p, d);
    check_same(b, &c, &p);
    free(room);
    free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static void (*const tries[])(struct bytes b) = {try_file_header, try_items, try_damage, try_message,
                                                    try_runs,        try_batch, try_chunk,  try_definition};
    if (len > 0)
        tries[at[0] % (sizeof tries / sizeof tries[0])](bytes_of(at + 1, len - 1));
    return 0;
}
