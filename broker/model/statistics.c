#include "broker/model/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

void statistics_init(struct statistics_state *s)
{
    *s = (struct statistics_state){.round = 1, .last_id = BROKER_SAMPLE_ID};
    list_init(&s->touched);
    list_init(&s->telling);
    list_init(&s->gone);
    list_init(&s->vhosts);
}

void statistics_fini(struct statistics_state *s)
{
    struct statistics *st;
    CHECK(list_is_empty(&s->touched) && list_is_empty(&s->telling) && s->run.n == 0);
    list_each (st, &s->gone, struct statistics, in_round)
        free(st);
}

/* ---- Touching. */

static bool touch(struct broker *b, struct counted *c, enum sample_kind kind)
{
    struct statistics_state *all = &b->statistics;
    bool is_first = c->own == NULL;
    if (is_first) {
        c->own = alloc_zeroed(sizeof *c->own);
        c->own->counted = c;
        c->own->kind = (uint8_t)kind;
        c->own->id = ++all->last_id;
        link_init(&c->own->in_round);
    }
    c->round = all->round;
    if (!link_is_linked(&c->own->in_round)) /* else it is still to be told of the last one */
        list_append(&all->touched, &c->own->in_round);
    return is_first;
}

void statistics_touch_vhost(struct broker *b, struct vhost *v)
{
    if (v->gone) { /* nobody asks for it any more; what its last queues count is folded when it is freed */
        v->counted.own = &b->statistics.unlisted;
        v->counted.round = b->statistics.round;
        return;
    }
    touch(b, &v->counted, SAMPLE_VHOST);
    if (!link_is_linked(&v->folding))
        list_append(&b->statistics.vhosts, &v->folding);
}

static inline void touch_vhost(struct broker *b, struct vhost *v)
{
    if (v->counted.round != b->statistics.round)
        statistics_touch_vhost(b, v);
}

void statistics_touch_queue(struct broker *b, struct queue *q)
{
    const struct statistics *own = q->counted.own;
    bool has_ended = q->gone && (own == NULL || own == &b->statistics.unlisted); /* while it ends, it counts still */
    if (q->spec->hidden || q->spec->is_reply || has_ended) {
        q->counted.own = &b->statistics.unlisted;
        q->counted.round = b->statistics.round;
        return;
    }
    if (touch(b, &q->counted, SAMPLE_QUEUE))
        q->counted.own->first_position = q->next_position;
    touch_vhost(b, q->vhost);
}

void statistics_touch_exchange(struct broker *b, struct exchange *x)
{
    touch(b, &x->counted, SAMPLE_EXCHANGE);
    touch_vhost(b, x->vhost);
}

void statistics_touch_stream(struct broker *b, struct stream *s)
{
    touch(b, &s->counted, SAMPLE_CHANNEL);
    touch_vhost(b, s->outlet->vhost);
}

void statistics_touch_outlet(struct broker *b, struct outlet *o)
{
    touch(b, &o->counted, SAMPLE_CONNECTION);
    touch_vhost(b, o->vhost);
}

void statistics_end(struct broker *b, struct counted *c)
{
    struct statistics *own = c->own;
    c->own = NULL;
    c->round = 0;
    if (own == NULL || own == &b->statistics.unlisted)
        return;
    list_remove(&own->in_round);
    own->counted = NULL;
    if (own->was_told)
        list_append(&b->statistics.gone, &own->in_round);
    else
        free(own);
}

/* ---- All of them together. */

/* Adds what the virtual host has counted since. */
static void fold(struct broker *b, struct vhost *v)
{
    uint64_t now[TALLIES], before[TALLIES], all[TALLIES];
    memcpy(now, &v->tallies, sizeof now);
    memcpy(before, v->folded, sizeof before);
    memcpy(all, &b->statistics.all, sizeof all);
    for (size_t i = 0; i < TALLIES; i++)
        all[i] += now[i] - before[i];
    memcpy(&b->statistics.all, all, sizeof all);
    memcpy(v->folded, now, sizeof now);
}

void statistics_end_vhost(struct broker *b, struct vhost *v)
{
    fold(b, v);
    list_remove(&v->folding);
}

const struct tallies *statistics_fold(struct broker *b)
{
    struct statistics_state *s = &b->statistics;
    publish_run_end(b);
    const struct link *last = s->vhosts.ring.prev;
    for (unsigned n = 0; n < FOLDS_MAX && !list_is_empty(&s->vhosts); n++) {
        struct vhost *v = item_of(s->vhosts.ring.next, struct vhost, folding);
        bool is_last = &v->folding == last;
        fold(b, v);
        list_remove(&v->folding);
        if (v->counted.round == s->round) /* it goes on without being touched */
            list_append(&s->vhosts, &v->folding);
        if (is_last)
            break;
    }
    return &s->all;
}

void tally_counts(const struct tally *t, uint64_t counts[COUNTERS])
{
    for (size_t i = 0; i < COUNTERS; i++)
        counts[i] += t->counts[i];
    counts[COUNT_PUBLISH] += t->handed + t->handed_out;
    counts[COUNT_DELIVER_NO_ACK] += t->handed;
    counts[COUNT_DELIVER] += t->handed_out;
}

void tallies_counts(const struct tallies *t, uint64_t counts[COUNTERS])
{
    memset(counts, 0, COUNTERS * sizeof counts[0]);
    for (size_t i = 0; i < QUEUE_TYPES; i++)
        tally_counts(&t->types[i], counts);
    counts[COUNT_PUBLISH] = 0; /* here: what clients have published, not the copies in queues */
    for (size_t i = 0; i < COUNTERS; i++)
        counts[i] += t->counts[i];
}

/* ---- Depths. */

struct depth tallies_depth(const struct tallies *t)
{
    struct depth d = {0};
    for (size_t i = 0; i < QUEUE_TYPES; i++) {
        const struct tally *of = &t->types[i];
        d.ready += of->ready;
        d.unacknowledged += of->out;
        d.messages += of->ready + of->out + of->waiting - of->read;
    }
    return d;
}

struct depth queue_depth(const struct queue *q)
{
    uint64_t out = q->log != NULL ? 0 : q->out_count; /* what is out of a stream is in it still */
    return (struct depth){
        .ready = q->ready_count, .unacknowledged = q->out_count, .messages = q->ready_count + out + q->waiting.count};
}

/* ---- Publishes. */

void publish_run_end(struct broker *b)
{
    struct publish_run *run = &b->statistics.run;
    struct stream *s = run->stream;
    if (s == NULL)
        return;
    uint64_t *of_stream = s->counted.own->counts, *of_exchange = s->route->exchange->counted.own->counts;
    struct tallies *t = &s->outlet->vhost->tallies;
    of_stream[COUNT_PUBLISH] += run->n;
    of_stream[COUNT_CONFIRM] += run->confirmed;
    of_exchange[COUNT_PUBLISH_IN] += run->n;
    of_exchange[COUNT_PUBLISH_OUT] += run->n * s->route->n;
    t->counts[COUNT_PUBLISH] += run->n;
    t->counts[COUNT_CONFIRM] += run->confirmed;
    t->refused += run->refused;
    t->routed += run->n * s->route->n;
    t->bytes += run->bytes;
    t->sizes[0] += run->n;
    for (size_t i = 1; i < MESSAGE_SIZES; i++) {
        t->sizes[0] -= run->sizes[i];
        t->sizes[i] += run->sizes[i];
    }
    *run = (struct publish_run){0};
}

void statistics_begin_publishing(struct broker *b, struct stream *s)
{
    b->statistics.publishers += !s->has_published;
    s->has_published = true;
}

void statistics_publish(struct broker *b, struct stream *s, struct exchange *x, const struct message *m, size_t n)
{
    struct tallies *t = &s->outlet->vhost->tallies;
    statistics_begin_publishing(b, s);
    stream_counters(b, s)[COUNT_PUBLISH]++;
    if (x != NULL) {
        exchange_counters(b, x)[COUNT_PUBLISH_IN]++;
        exchange_counters(b, x)[COUNT_PUBLISH_OUT] += n;
    }
    t->counts[COUNT_PUBLISH]++;
    t->routed += n;
    t->bytes += m->body_size;
    t->sizes[message_size_class(m->body_size)]++;
}

size_t statistics_copies(struct queue *const *queues, size_t n)
{
    size_t copies = 0;
    for (size_t i = 0; i < n; i++)
        copies += !queues[i]->spec->hidden;
    return copies;
}

void statistics_letter(struct broker *b, struct exchange *x, size_t came, size_t copies)
{
    uint64_t *counts = exchange_counters(b, x);
    counts[COUNT_PUBLISH_IN] += came;
    counts[COUNT_PUBLISH_OUT] += copies;
}

void statistics_death(struct queue *q, enum death death, enum strategy how)
{
    if (death < DEATH_DUE)
        q->tally->deaths[how][death]++;
}

/* ---- Telling. */

const struct statistics *statistics_of(struct broker *b, struct counted *c, uint64_t counts[COUNTERS])
{
    const struct statistics *own = c->own;
    publish_run_end(b);
    if (own == NULL || own == &b->statistics.unlisted)
        return NULL;
    memcpy(counts, own->counts, sizeof own->counts);
    uint64_t handed = 0, handed_out = 0;
    if (own->kind == SAMPLE_QUEUE) {
        handed = item_of(c, struct queue, counted)->handed;
        handed_out = item_of(c, struct queue, counted)->handed_out;
        counts[COUNT_PUBLISH] += handed + handed_out;
    } else if (own->kind == SAMPLE_CHANNEL) {
        handed = item_of(c, struct stream, counted)->handed;
        handed_out = item_of(c, struct stream, counted)->handed_out;
    } else if (own->kind == SAMPLE_VHOST) {
        tallies_counts(&item_of(c, struct vhost, counted)->tallies, counts);
    }
    counts[COUNT_DELIVER_NO_ACK] += handed;
    counts[COUNT_DELIVER] += handed_out;
    return own;
}

static void put_depth(struct sample *to, struct depth d)
{
    to->ready = d.ready;
    to->unacknowledged = d.unacknowledged;
    to->messages = d.messages;
}

/* It has told all that there is of it, unless it was touched again meanwhile. */
static void tell(struct broker *b, struct statistics *st, struct sample *to)
{
    struct statistics_state *all = &b->statistics;
    struct counted *c = st->counted;
    *to = (struct sample){.kind = (enum sample_kind)st->kind, .id = st->id, .is_gone = c == NULL};
    list_remove(&st->in_round);
    if (c == NULL) {
        memcpy(to->counts, st->counts, sizeof to->counts);
        free(st);
        return;
    }
    statistics_of(b, c, to->counts);
    if (st->kind == SAMPLE_QUEUE)
        put_depth(to, queue_depth(item_of(c, struct queue, counted)));
    else if (st->kind == SAMPLE_VHOST)
        put_depth(to, tallies_depth(&item_of(c, struct vhost, counted)->tallies));
    st->was_told = true;
    if (c->round == all->round)
        list_append(&all->touched, &st->in_round);
}

static void tell_all(struct broker *b, struct sample *to)
{
    *to = (struct sample){.kind = SAMPLE_BROKER, .id = BROKER_SAMPLE_ID};
    const struct tallies *t = statistics_fold(b);
    tallies_counts(t, to->counts);
    put_depth(to, tallies_depth(t));
}

static void begin_round(struct broker *b)
{
    struct statistics_state *s = &b->statistics;
    list_prepend_all(&s->telling, &s->touched);
    s->round++;
    b->topology_version++; /* no route is remembered from one round to the next */
    s->is_telling = true;
}

void statistics_sample(struct broker *b, struct samples *to)
{
    struct statistics_state *s = &b->statistics;
    publish_run_end(b);
    to->n = 0;
    to->now_ms = b->now.ms;
    if (!s->is_telling)
        begin_round(b);
    while (to->n < SAMPLES_MAX && (!list_is_empty(&s->gone) || !list_is_empty(&s->telling))) {
        struct list *next = !list_is_empty(&s->gone) ? &s->gone : &s->telling;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): who is told of as gone is on no list any more */
        tell(b, item_of(next->ring.next, struct statistics, in_round), &to->at[to->n]);
        to->n++;
    }
    to->is_all = to->n < SAMPLES_MAX;
    if (!to->is_all)
        return;
    tell_all(b, &to->at[to->n++]);
    s->is_telling = false;
}

void statistics_check_queue(const struct queue *q)
{
    const struct statistics *own = q->counted.own;
    if (own == NULL || own->kind != SAMPLE_QUEUE || own->counted != &q->counted)
        return;
    CHECK(own->counts[COUNT_PUBLISH] + q->handed + q->handed_out == q->next_position - own->first_position);
}
