#include "broker/perf/window.h"

#include <stdlib.h>

#include "base/alloc.h"

void window_init(struct window *w, unsigned size, bool has_times)
{
    *w = (struct window){.size = size};
    if (size == 0)
        return;
    uint64_t room = 2;
    while (room <= size)
        room *= 2;
    w->mask = room - 1;
    w->is_confirmed = alloc_zeroed(room * sizeof *w->is_confirmed);
    w->sent_ns = has_times ? alloc_zeroed(room * sizeof *w->sent_ns) : NULL;
}

void window_fini(struct window *w)
{
    free(w->is_confirmed);
    free(w->sent_ns);
    *w = (struct window){0};
}

int64_t window_note_confirm(struct window *w, uint64_t seq, bool multiple, uint64_t now_ns, struct latency *latency)
{
    int64_t n = 0;
    if (seq <= w->confirmed)
        return 0;
    if (seq > w->confirmed + w->size)
        return -1;
    for (uint64_t s = multiple ? w->confirmed + 1 : seq; s <= seq; s++) {
        if (w->is_confirmed[s & w->mask])
            continue;
        w->is_confirmed[s & w->mask] = true;
        n++;
        if (latency != NULL && w->sent_ns != NULL)
            latency_add_since(latency, w->sent_ns[s & w->mask], now_ns);
    }
    while (w->is_confirmed[(w->confirmed + 1) & w->mask])
        w->is_confirmed[++w->confirmed & w->mask] = false;
    return n;
}
