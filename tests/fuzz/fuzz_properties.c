/* Decodes an input as a content header's flags and properties; what is accepted must survive being encoded again. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "codec/properties.h"
#include "codec/table.h"
#include "tests/fuzz/fuzz.h"

static bool same_shortstr(struct bytes a, struct bytes b)
{
    return bytes_equal(a, b);
}

static bool same_table(struct bytes a, struct bytes b)
{
    return table_check(a, TABLE_DEPTH_MAX) && bytes_equal(a, b);
}

static bool same_u8(uint8_t a, uint8_t b)
{
    return a == b;
}

static bool same_u64(uint64_t a, uint64_t b)
{
    return a == b;
}

static void check_same(const struct properties *a, const struct properties *b)
{
    CHECK(a->flags == b->flags);
#define PROPERTY(name, bit, wire) CHECK(same_##wire(a->name, b->name));
#include "codec/properties.def"
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes b = bytes_of(at, len);
    struct properties props, again;
    if (!properties_decode(b, &props))
        return 0;
    CHECK((props.flags & 3) == 0);
    CHECK(properties_size(&props) >= b.len);

    uint8_t *room = alloc(b.len);
    struct pen p = pen_over(room, b.len);
    properties_encode(&p, &props);
    CHECK(!p.full && pen_written(&p).len == b.len);
    /* The first two octets may differ by the bits that are ignored. */
    CHECK(memcmp(room + 2, b.at + 2, b.len - 2) == 0);
    CHECK(properties_decode(pen_written(&p), &again));
    check_same(&props, &again);
    for (size_t cut = 0; cut < b.len; cut += 1 + cut / 8)
        CHECK(!properties_decode(bytes_of(b.at, cut), &again));
    free(room);
    return 0;
}
