#include "broker/net/tempo.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"

struct tempo *tempo_create(void)
{
    struct tempo *p = alloc_zeroed(sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void tempo_destroy(struct tempo *p)
{
    if (p == NULL)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void tempo_begin(struct tempo *p)
{
    p->began_us = clock_us();
}

static void add_up(struct histogram *to, struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->count += from->count;
    to->sum += from->sum;
    to->max = from->max > to->max ? from->max : to->max;
    *from = (struct histogram){0};
}

void tempo_end(struct tempo *p, uint64_t stall_us)
{
    uint64_t took_us = clock_us() - p->began_us;
    pthread_mutex_lock(&p->lock);
    struct hub_measures *m = &p->measures;
    histogram_add(&m->turns_us, took_us);
    m->stalls += took_us > stall_us;
    m->batches += p->batches;
    m->commands += p->commands;
    if (p->confirms_us.count > 0)
        add_up(&m->confirms_us, &p->confirms_us);
    pthread_mutex_unlock(&p->lock);
    p->batches = p->commands = 0;
}

static struct tempo_turn *turn_at(struct tempo *p, size_t i)
{
    return &p->turns[(p->first + i) % TEMPO_TURNS_MAX];
}

void tempo_hand_over(struct tempo *p, uint64_t position)
{
    if (p->count == TEMPO_TURNS_MAX) { /* the disk is that far behind: they count as the one before them */
        turn_at(p, p->count - 1)->position = position;
        return;
    }
    *turn_at(p, p->count++) = (struct tempo_turn){.position = position, .at_us = clock_us()};
}

void tempo_release(struct tempo *p, const struct event *events, size_t n)
{
    uint64_t now_us = n > 0 ? clock_us() : 0;
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        if (e->what != CONFIRMED && e->what != REFUSED)
            continue;
        while (p->count > 0 && turn_at(p, 0)->position < e->after) {
            p->first = (p->first + 1) % TEMPO_TURNS_MAX;
            p->count--;
        }
        if (p->count > 0)
            histogram_add_many(&p->confirms_us, now_us - turn_at(p, 0)->at_us, (uint64_t)e->confirmed.more + 1);
    }
}

void tempo_read(struct tempo *p, struct hub_measures *to)
{
    pthread_mutex_lock(&p->lock);
    *to = p->measures;
    pthread_mutex_unlock(&p->lock);
}
