#include "tests/sim/scroll.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/properties.h"
#include "codec/table.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

#define NOT_READ UINT32_MAX /* nobody knows the message */

struct scroll {
    const struct topology *topology;
    struct ledger *ledger;
    uint32_t *messages; /* owned: by offset */
    uint64_t n;
};

struct scroll *scroll_create(const struct topology *t, struct ledger *l)
{
    struct scroll *s = alloc_zeroed(sizeof *s);
    s->topology = t;
    s->ledger = l;
    return s;
}

void scroll_destroy(struct scroll *s)
{
    free(s->messages);
    free(s);
}

uint64_t scroll_offset(struct bytes properties)
{
    struct properties p;
    struct field f;
    if (!properties_decode(properties, &p) || !table_find(p.headers, BYTES("x-stream-offset"), &f) || f.type != 'l' ||
        f.integer < 0)
        verdict_fail("a delivery of the stream has no offset");
    return (uint64_t)f.integer;
}

void scroll_read(struct scroll *s, uint32_t message, uint64_t offset, uint64_t *next, uint64_t now)
{
    bool keeps_all = s->topology->queues[Q_LOG].keep_bytes == 0;
    if (*next != UINT64_MAX && offset != *next && (keeps_all || offset < *next))
        verdict_fail("offset %llu of the stream came where %llu was expected", (unsigned long long)offset,
                     (unsigned long long)*next);
    if (*next != UINT64_MAX && offset > *next)
        mark_hit(MARK_log_passed);
    *next = offset + 1;
    ledger_read_in_log(s->ledger, message, now);
    if (s->n <= offset)
        s->messages = alloc_array(s->messages, offset + 1, sizeof *s->messages);
    while (s->n <= offset)
        s->messages[s->n++] = NOT_READ;
    if (s->messages[offset] != NOT_READ && s->messages[offset] != message)
        verdict_fail("offset %llu of the stream was message %u, and is %u now", (unsigned long long)offset,
                     s->messages[offset], message);
    if (s->messages[offset] == message)
        mark_hit(MARK_log_again);
    for (uint64_t o = 0; s->messages[offset] == NOT_READ && o < s->n; o++)
        if (s->messages[o] == message)
            verdict_fail("message %u is in the stream at %llu and at %llu", message, (unsigned long long)o,
                         (unsigned long long)offset);
    s->messages[offset] = message;
}

static bool is_there(const struct scroll *s, uint32_t message)
{
    for (uint64_t o = 0; o < s->n; o++)
        if (s->messages[o] == message)
            return true;
    return false;
}

/* Positions rise with what one publisher says. */
static void check_order(const struct scroll *s)
{
    for (uint64_t o = 0; o < s->n; o++)
        for (uint64_t later = o + 1; later < s->n && s->messages[o] != NOT_READ; later++) {
            const struct publishing *a = ledger_publishing(s->ledger, s->messages[o]);
            if (s->messages[later] == NOT_READ)
                continue;
            const struct publishing *b = ledger_publishing(s->ledger, s->messages[later]);
            if (a->publisher == b->publisher && a->sequence >= b->sequence)
                verdict_fail("message %u is before %u in the stream, which was published first", s->messages[o],
                             s->messages[later]);
        }
}

void scroll_verdict(const struct scroll *s, uint64_t count)
{
    uint64_t read = 0;
    uint32_t m = 0;
    bool keeps_all = s->topology->queues[Q_LOG].keep_bytes == 0;
    for (uint64_t o = 0; o < s->n; o++)
        read += s->messages[o] != NOT_READ;
    if (keeps_all && (read != s->n || count != s->n))
        verdict_fail("the stream says it has %llu messages, %llu were read, up to offset %llu",
                     (unsigned long long)count, (unsigned long long)read, (unsigned long long)s->n);
    if (count > read)
        verdict_fail("the stream says it has %llu messages, %llu were read", (unsigned long long)count,
                     (unsigned long long)read);
    check_order(s);
    for (const struct publishing *p; keeps_all && (p = ledger_publishing(s->ledger, m)) != NULL; m++)
        if (p->standing == STANDING_SURE && p->targets[0] == Q_LOG && !is_there(s, m))
            verdict_fail("message %u is lost: it is not in the stream", m);
}
