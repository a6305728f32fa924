#include "broker/model/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

_Static_assert(sizeof(struct due) == 24, "there may be millions");

#define POSITION_MAX ((UINT64_C(1) << 62) - 1)

enum { DEAD_MIN = 256 }; /* fewer dead slots than this are never squeezed out */

void schedule_init(struct schedule *s)
{
    *s = (struct schedule){0};
}

void schedule_fini(struct schedule *s)
{
    free(s->slots);
    free(s->heap);
    schedule_init(s);
}

/* ---- The heap. */

static bool is_before(const struct schedule *s, uint32_t a, uint32_t b)
{
    int64_t x = s->slots[a].due_ms, y = s->slots[b].due_ms;
    return x != y ? x < y : a < b; /* slots are by position */
}

static void sift_up(struct schedule *s, size_t at, uint32_t item)
{
    while (at > 0 && is_before(s, item, s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = item;
}

static void sift_down(struct schedule *s, size_t at, uint32_t item)
{
    for (size_t child; (child = 2 * at + 1) < s->heap_n; at = child) {
        if (child + 1 < s->heap_n && is_before(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!is_before(s, s->heap[child], item))
            break;
        s->heap[at] = s->heap[child];
    }
    s->heap[at] = item;
}

static void heap_pop(struct schedule *s)
{
    uint32_t last = s->heap[--s->heap_n];
    if (s->heap_n > 0)
        sift_down(s, 0, last);
}

/* ---- Slots. */

/* Squeezes the dead ones out. */
static void squeeze(struct schedule *s)
{
    size_t n = 0;
    for (size_t i = s->first; i < s->n; i++)
        if (!s->slots[i].is_dead)
            s->slots[n++] = s->slots[i];
    CHECK(n == s->live);
    s->n = s->heap_n = n;
    s->first = 0;
    for (size_t i = 0; i < n; i++)
        s->heap[i] = (uint32_t)i;
    for (size_t i = n / 2; i-- > 0;)
        sift_down(s, i, s->heap[i]);
}

struct due *schedule_add(struct schedule *s, uint64_t position, int64_t due_ms, uint64_t bytes)
{
    CHECK((s->n == 0 || position > s->slots[s->n - 1].position) && s->n < UINT32_MAX);
    if (s->n == s->capacity) {
        s->capacity = alloc_grown(s->capacity, s->n + 1);
        s->slots = alloc_array(s->slots, s->capacity, sizeof(struct due));
    }
    if (s->heap_n == s->heap_capacity) {
        s->heap_capacity = alloc_grown(s->heap_capacity, s->heap_n + 1);
        s->heap = alloc_array(s->heap, s->heap_capacity, sizeof(uint32_t));
    }
    s->slots[s->n] = (struct due){.position = position & POSITION_MAX, .due_ms = due_ms, .bytes = bytes};
    s->live++;
    sift_up(s, s->heap_n++, (uint32_t)s->n++);
    return &s->slots[s->n - 1];
}

void schedule_warm(struct due *slot, struct entry *e)
{
    CHECK(!slot->is_warm && !slot->is_dead);
    slot->is_warm = true;
    slot->entry = e;
}

struct due *schedule_top(struct schedule *s)
{
    while (s->heap_n > 0 && s->slots[s->heap[0]].is_dead)
        heap_pop(s);
    return s->heap_n > 0 ? &s->slots[s->heap[0]] : NULL;
}

/* Index of the first slot at or behind a position, dead or alive. */
static size_t find(const struct schedule *s, uint64_t position)
{
    size_t low = s->first, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->slots[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct due *live_from(struct schedule *s, size_t i)
{
    while (i < s->n && s->slots[i].is_dead)
        i++;
    return i < s->n ? &s->slots[i] : NULL;
}

struct due *schedule_find(struct schedule *s, uint64_t position)
{
    size_t i = find(s, position);
    return i < s->n && s->slots[i].position == position && !s->slots[i].is_dead ? &s->slots[i] : NULL;
}

struct due *schedule_from(struct schedule *s, uint64_t position)
{
    return live_from(s, find(s, position));
}

struct due *schedule_next(struct schedule *s, struct due *slot)
{
    return live_from(s, (size_t)(slot - s->slots) + 1);
}

void schedule_remove(struct schedule *s, struct due *slot)
{
    CHECK(!slot->is_dead);
    slot->is_dead = true;
    s->live--;
    while (s->first < s->n && s->slots[s->first].is_dead)
        s->first++;
    if (s->n - s->live > DEAD_MIN && s->n - s->live > s->live)
        squeeze(s);
}

static bool is_wanted(const struct due *slot, int64_t now_ms)
{
    return slot->is_dead || (slot->due_ms <= now_ms && !slot->is_warm);
}

void schedule_widen(struct schedule *s, int64_t now_ms, unsigned count, uint64_t *from, uint64_t *to)
{
    size_t first = find(s, *from), last = first;
    while (first > s->first && last - first < count / 2 && is_wanted(&s->slots[first - 1], now_ms))
        first--;
    while (last + 1 < s->n && last - first + 1 < count && is_wanted(&s->slots[last + 1], now_ms))
        last++;
    *from = s->slots[first].position;
    *to = s->slots[last].position;
}

void schedule_check(const struct schedule *s)
{
    size_t live = 0;
    for (size_t i = 0; i < s->n; i++) {
        CHECK(i == 0 || s->slots[i - 1].position < s->slots[i].position);
        CHECK(i >= s->first || s->slots[i].is_dead);
        live += !s->slots[i].is_dead;
    }
    CHECK(live == s->live && s->heap_n >= live && s->heap_n <= s->n);
    for (size_t i = 1; i < s->heap_n; i++)
        CHECK(!is_before(s, s->heap[i], s->heap[(i - 1) / 2]));
}
