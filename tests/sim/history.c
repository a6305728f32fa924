#include "tests/sim/history.h"

#include "codec/properties.h"
#include "codec/table.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

static struct bytes entries_of(struct bytes properties)
{
    struct properties p;
    struct field f;
    if (!properties_decode(properties, &p))
        verdict_fail("properties that cannot be read");
    return table_find(p.headers, BYTES("x-death"), &f) && f.type == 'A' ? f.bytes : (struct bytes){0};
}

uint32_t history_count(struct bytes properties)
{
    struct field entry, count;
    uint32_t n = 0;
    for (struct cursor c = cursor_over(entries_of(properties)); table_next_in_array(&c, &entry);)
        if (entry.type == 'F' && table_find(entry.bytes, BYTES("count"), &count) && count.type == 'l')
            n += (uint32_t)count.integer;
    return n;
}

static struct bytes string_of(struct bytes table, struct bytes key)
{
    struct field f;
    return table_find(table, key, &f) && f.type == 'S' ? f.bytes : (struct bytes){0};
}

static bool may_die_of(const struct sim_queue *q, struct bytes reason)
{
    if (bytes_equal(reason, BYTES("rejected"))) {
        mark_hit(MARK_letter_rejected);
        return true;
    }
    if (bytes_equal(reason, BYTES("expired"))) {
        mark_hit(MARK_letter_expired);
        return true; /* by its own or by its queue's time to live */
    }
    if (bytes_equal(reason, BYTES("maxlen"))) {
        mark_hit(MARK_letter_maxlen);
        return q->max_length > 0 && !q->refuses;
    }
    if (bytes_equal(reason, BYTES("delivery_limit"))) {
        mark_hit(MARK_letter_returned);
        return q->has_return_limit;
    }
    return false;
}

void history_check(const struct topology *t, uint8_t queue, struct bytes properties)
{
    struct field entry;
    struct cursor c = cursor_over(entries_of(properties));
    bool is_latest = true;
    while (table_next_in_array(&c, &entry)) {
        struct bytes name = string_of(entry.bytes, BYTES("queue")), reason = string_of(entry.bytes, BYTES("reason"));
        uint8_t q = topology_find(t, name.at, name.len);
        if (q == NO_QUEUE || !may_die_of(&t->queues[q], reason))
            verdict_fail("a death in %.*s of being %.*s", BYTES_ARG(name), BYTES_ARG(reason));
        if (is_latest && t->queues[q].dead_to != queue)
            verdict_fail("the latest death is said to be in %.*s, but the letter is in %s", BYTES_ARG(name),
                         t->queues[queue].name);
        is_latest = false;
    }
}
