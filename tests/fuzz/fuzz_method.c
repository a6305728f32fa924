/* Decodes an input as a method frame's payload; what is accepted must survive being encoded and decoded again. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/utf8.h"
#include "codec/method.h"
#include "codec/table.h"
#include "tests/fuzz/fuzz.h"

static bool same_field(const void *a, const void *b, enum wire wire)
{
    switch (wire) {
    case WIRE_bit:
        return *(const bool *)a == *(const bool *)b;
    case WIRE_u8:
        return *(const uint8_t *)a == *(const uint8_t *)b;
    case WIRE_u16:
        return *(const uint16_t *)a == *(const uint16_t *)b;
    case WIRE_u32:
        return *(const uint32_t *)a == *(const uint32_t *)b;
    case WIRE_u64:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case WIRE_shortstr:
    case WIRE_rawstr:
    case WIRE_longstr:
    case WIRE_table:
        return bytes_equal(*(const struct bytes *)a, *(const struct bytes *)b);
    case WIRE_END:
        break;
    }
    return false;
}

/* What the decoder promises of each field it accepted. */
static void check_field(struct bytes payload, enum wire wire, const void *value)
{
    if (wire != WIRE_shortstr && wire != WIRE_rawstr && wire != WIRE_longstr && wire != WIRE_table)
        return;
    struct bytes b = *(const struct bytes *)value;
    CHECK(b.at >= payload.at && b.len <= (size_t)(payload.at + payload.len - b.at));
    CHECK(wire != WIRE_shortstr || utf8_check(b));
    CHECK(wire != WIRE_table || table_check(b, TABLE_DEPTH_MAX));
}

static void check_round_trip(struct bytes payload, const union method *m, const struct method_info *info)
{
    /* Only bits that mean nothing may come out otherwise than they came in, so the length is the same. */
    uint8_t *room = alloc(payload.len);
    struct pen p = pen_over(room, payload.len);
    union method again;
    method_encode(&p, m);
    CHECK(!p.full && pen_written(&p).len == payload.len);
    CHECK(method_decode(pen_written(&p), &again) == METHOD_OK);
    CHECK(again.id == m->id);
    for (const struct method_field *f = info->fields; f->wire != WIRE_END; f++) {
        check_field(payload, f->wire, (const uint8_t *)m + f->offset);
        CHECK(same_field((const uint8_t *)m + f->offset, (const uint8_t *)&again + f->offset, f->wire));
    }
    for (size_t len = 0; len < payload.len; len += 1 + len / 8)
        CHECK(method_decode(bytes_of(payload.at, len), &again) == METHOD_CANNOT_DECODE);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes payload = bytes_of(at, len);
    union method m;
    enum method_verdict verdict = method_decode(payload, &m);
    struct cursor c = cursor_over(payload);
    uint32_t id = cursor_u32(&c);
    const struct method_info *info = method_find(id);
    CHECK(m.id == (enum method_id)id);
    CHECK((verdict == METHOD_UNKNOWN) == (info == NULL && len >= 4));
    if (verdict == METHOD_OK)
        check_round_trip(payload, &m, info);
    return 0;
}
