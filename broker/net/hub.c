#define _GNU_SOURCE
#include "broker/net/hub.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "broker/net/gate.h"
#include "broker/net/news.h"

struct hub {
    struct broker *broker; /* owned */
    struct effects effects;
    struct gate gate;
    struct tempo *tempo; /* owned */
    struct instant now;
    unsigned alarms;
    unsigned model_alarms;    /* as of its last step */
    struct hub_keeper keeper; /* keep is NULL: there is none */
    struct news news;
    struct news_items items; /* owned: of the news; empty between turns */
    bool has_news;
    atomic_uint alarms_shown;        /* alarms, for whoever asks */
    atomic_ullong asked_ms;          /* when hub_standstill_ms() asked; 0: it was answered */
    struct lane *desk;               /* borrowed; NULL: nobody sits there */
    struct mail *to_desk;            /* owned: what this turn has for it, or NULL */
    size_t released;                 /* events of this turn that have waited already: the first ones */
    uint64_t peak_bytes, trimmed_ms; /* most message bytes held since memory was given back, and when that was */
    uint64_t trim_after_ms;
    bool is_falling; /* it was much: all of it is given back, as it goes */

    /* With threads. */
    unsigned n_loops;
    struct lane **loops;          /* borrowed */
    struct mail **out;            /* owned: what this turn has for each loop, or NULL */
    struct parcel *first, **last; /* owned: mails that came, oldest first */
    struct parcel *spare;         /* owned: empty mails */
    unsigned spares;
    bool is_stopping;
    struct lane inbox;
    pthread_t thread;
};

struct mail *mail_create(unsigned loop)
{
    struct mail *m = alloc_zeroed(sizeof *m);
    m->parcel.kind = PARCEL_MAIL;
    m->loop = loop;
    return m;
}

void mail_destroy(struct mail *m)
{
    if (m == NULL)
        return;
    batches_drop(m->batches);
    for (size_t i = 0; i < m->n; i++)
        event_drop(&m->events[i]);
    free(m->events);
    free(m);
}

struct hub *hub_create(struct broker *broker, const struct hub_keeper *keeper, unsigned loops)
{
    struct hub *h = alloc_zeroed(sizeof *h);
    h->broker = broker;
    effects_init(&h->effects);
    if (keeper != NULL)
        h->keeper = *keeper;
    atomic_init(&h->alarms_shown, 0);
    atomic_init(&h->asked_ms, 0);
    gate_init(&h->gate, keeper != NULL ? 0 : UINT64_MAX); /* without one everything is as safe as it will ever be */
    h->tempo = tempo_create();
    h->n_loops = loops;
    h->last = &h->first;
    news_init(&h->news, &h->inbox);
    if (loops > 0) {
        h->out = alloc_zeroed(loops * sizeof(struct mail *));
        lane_init(&h->inbox);
    }
    return h;
}

void hub_attach(struct hub *h, struct lane *lane)
{
    CHECK(h->n_loops == 0);
    h->news.lane = lane;
}

void hub_seat(struct hub *h, struct lane *desk)
{
    h->desk = desk;
}

unsigned hub_alarms(const struct hub *h)
{
    return atomic_load(&h->alarms_shown);
}

void hub_measure(const struct hub *h, struct hub_measures *to)
{
    tempo_read(h->tempo, to);
}

/* Takes in what was posted. */
static void hub_collect(struct hub *h)
{
    for (struct parcel *p = lane_collect(&h->inbox), *next; p != NULL; p = next) {
        next = p->next;
        if (p->kind == PARCEL_NEWS) {
            h->has_news = true;
            continue;
        }
        if (p->kind == PARCEL_STOP) {
            h->is_stopping = true;
            free(p);
            continue;
        }
        p->next = NULL;
        *h->last = p;
        h->last = &p->next;
    }
}

static void mails_destroy(struct parcel *p)
{
    for (struct parcel *next; p != NULL; p = next) {
        next = p->next;
        mail_destroy(mail_of(p));
    }
}

void hub_destroy(struct hub *h)
{
    if (h == NULL)
        return;
    if (h->n_loops > 0) {
        hub_collect(h); /* the keeper may have had a last word */
        lane_fini(&h->inbox);
    }
    news_fini(&h->news);
    news_items_fini(&h->items);
    mails_destroy(h->first);
    mails_destroy(h->spare);
    free((void *)h->out);
    mail_destroy(h->to_desk);
    gate_fini(&h->gate);
    tempo_destroy(h->tempo);
    effects_fini(&h->effects);
    broker_destroy(h->broker);
    free(h);
}

/* ---- What others say. */

void hub_tell_durable(struct hub *h, uint64_t position, uint64_t changes)
{
    news_tell_durable(&h->news, position, changes);
}

void hub_tell_loaded(struct hub *h, struct load *l)
{
    news_tell_loaded(&h->news, l);
}

void hub_tell_disk_alarm(struct hub *h, bool is_set)
{
    news_tell_alarms(&h->news, is_set ? ALARM_DISK : 0);
}

void hub_tell_tuning(struct hub *h, const struct broker_tuning *t)
{
    news_tell_tuning(&h->news, t);
}

void hub_tell_shutdown(struct hub *h)
{
    news_tell_shutdown(&h->news);
}

uint64_t hub_standstill_ms(struct hub *h)
{
    uint64_t asked = atomic_load(&h->asked_ms), now = clock_ms();
    if (asked != 0)
        return now > asked ? now - asked : 0;
    atomic_store(&h->asked_ms, now);
    news_ask(&h->news);
    return 0;
}

void hub_has_news(struct hub *h)
{
    h->has_news = true;
}

/* Moves the events that need not wait any longer to the effects, before all others. */
static void hub_release(struct hub *h)
{
    struct effects *e = &h->effects;
    for (struct event released; gate_take(&h->gate, &released); e->n++) {
        if (e->n == e->capacity) {
            e->capacity = alloc_grown(e->capacity, e->n + 1);
            e->events = alloc_array(e->events, e->capacity, sizeof *e->events);
        }
        e->events[e->n] = released;
    }
    h->released = e->n;
    tempo_release(h->tempo, e->events, e->n);
}

static void hub_carry_out(struct hub *h, struct command *commands, size_t n)
{
    broker_step(h->broker, &h->now, commands, n, &h->effects);
    h->model_alarms = h->effects.alarms;
}

static void hub_read_news(struct hub *h)
{
    struct news_items *n = &h->items;
    h->has_news = false;
    news_take(&h->news, n);
    if (n->is_asked)
        atomic_store(&h->asked_ms, 0);
    if (n->changes > h->gate.changes || n->durable > h->gate.durable)
        gate_open(&h->gate, n->durable, n->changes);
    hub_release(h);
    if (n->is_shutting_down)
        broker_shut_down(h->broker);
    for (size_t i = 0; i < n->n_loads; i++) {
        struct command c = {.verb = LOADED, .load = n->loads[i]};
        hub_carry_out(h, &c, 1);
    }
    n->n_loads = 0;
    if (n->has_alarms)
        broker_set_alarm(h->broker, ALARM_DISK, (n->alarms & ALARM_DISK) != 0);
    if (n->has_tuning)
        broker_tune(h->broker, &n->tuning);
    if (n->has_alarms || n->has_tuning || (h->alarms & ALARM_MEMORY) != 0)
        hub_step(h, NULL); /* alarms are judged in steps */
}

/* ---- A turn. */

void hub_begin(struct hub *h)
{
    tempo_begin(h->tempo);
    h->now = (struct instant){.ms = clock_ms(), .wall_ms = clock_wall_ms()};
    if (h->keeper.keep != NULL)
        broker_set_bytes_outside(h->broker, h->keeper.pending(h->keeper.arg));
    if (h->has_news)
        hub_read_news(h);
}

void hub_step(struct hub *h, struct batch *b)
{
    if (b != NULL)
        tempo_count_batch(h->tempo, b->n);
    hub_carry_out(h, b != NULL ? b->commands : NULL, b != NULL ? b->n : 0);
    if (b != NULL)
        b->n = 0;
}

static void hub_log_alarm(const struct hub *h, unsigned alarms, enum alarm alarm, const char *name)
{
    if (((alarms ^ h->alarms) & alarm) == 0)
        return;
    if ((alarms & alarm) == 0) {
        log_warning("hub", "%s resource limit alarm cleared on node %s", name, log_node());
        return;
    }
    log_warning("hub", "%s resource limit alarm set on node %s.", name, log_node());
    log_warning("hub", "**********************************************************");
    log_warning("hub", "*** Publishers will be blocked until this alarm clears ***");
    log_warning("hub", "**********************************************************");
}

/* Gives memory back to the system, a slice for each that was freed, down to the last: what the heap gives back at once
 * takes long, and free() does so itself when it has come together at its end. */
static void hub_trim(struct hub *h)
{
    uint64_t held = broker_totals(h->broker).message_bytes;
    if (held > h->peak_bytes && h->now.ms >= h->trimmed_ms + HUB_TRIM_MS) {
        h->peak_bytes = held;
        h->is_falling = false;
    }
    h->is_falling |= h->peak_bytes >= HUB_TRIM_BYTES;
    if (!h->is_falling || h->peak_bytes < held + HUB_TRIM_SLICE || h->now.ms < h->trim_after_ms)
        return;
    uint64_t began = clock_ms();
    if (held < HUB_TRIM_SLICE) {
        h->is_falling = false;
        pool_trim();
    }
    malloc_trim(0);
    h->peak_bytes = held;
    h->trimmed_ms = h->now.ms;
    h->trim_after_ms = clock_ms() - began > HUB_TRIM_LONG_MS ? h->now.ms + HUB_TRIM_MS : 0;
}

/* Hands the records over.  True: there are so many on their way that publishers have to pause. */
static bool hub_keep(struct hub *h)
{
    if (h->keeper.keep == NULL)
        return false;
    if (h->effects.records.n > 0) {
        tempo_hand_over(h->tempo, h->effects.records.last);
        h->keeper.keep(h->keeper.arg, &h->effects.records);
    }
    uint64_t pending = h->keeper.pending(h->keeper.arg);
    return pending > ((h->alarms & ALARM_BUSY) != 0 ? h->keeper.pending_easy : h->keeper.pending_max);
}

struct effects *hub_end(struct hub *h)
{
    struct effects *e = &h->effects;
    hub_trim(h);
    e->alarms = h->model_alarms | (hub_keep(h) ? ALARM_BUSY : 0);
    e->n = h->released + gate_hold(&h->gate, e->events + h->released, e->n - h->released);
    h->released = 0;
    if (e->alarms != h->alarms) {
        hub_log_alarm(h, e->alarms, ALARM_MEMORY, "memory");
        hub_log_alarm(h, e->alarms, ALARM_DISK, "disk");
        h->alarms = e->alarms;
        atomic_store(&h->alarms_shown, e->alarms);
        e->alarms_changed = true;
    }
    tempo_end(h->tempo, (uint64_t)HUB_TURN_MS * 1000);
    return e;
}

uint64_t hub_deadline(const struct hub *h)
{
    return h->has_news ? 0 : broker_deadline(h->broker);
}

/* ---- The desk. */

static struct mail *hub_desk_mail(struct hub *h)
{
    if (h->to_desk == NULL)
        h->to_desk = mail_create(HUB_DESK);
    return h->to_desk;
}

static void mail_add(struct mail *m, const struct event *e)
{
    if (m->n == m->capacity) {
        m->capacity = alloc_grown(m->capacity, m->n + 1);
        m->events = alloc_array(m->events, m->capacity, sizeof *m->events);
    }
    m->events[m->n++] = *e;
}

void hub_answer_desk(struct hub *h, const struct event *e)
{
    mail_add(hub_desk_mail(h), e);
}

void hub_post_desk(struct hub *h)
{
    if (h->to_desk == NULL)
        return;
    CHECK(h->desk != NULL);
    lane_post(h->desk, &h->to_desk->parcel);
    h->to_desk = NULL;
}

/* ---- With threads. */

/* The mail that this turn has for a loop. */
static struct mail *hub_mail(struct hub *h, unsigned loop)
{
    if (h->out[loop] == NULL && h->spare != NULL) {
        h->out[loop] = mail_of(h->spare);
        h->out[loop]->loop = loop;
        h->spare = h->spare->next;
        h->spares--;
    } else if (h->out[loop] == NULL) {
        h->out[loop] = mail_create(loop);
    }
    return h->out[loop];
}

static void hub_spare(struct hub *h, struct mail *m)
{
    /* One that never had an array is not worth a place: those that had one are what saves work. */
    bool is_bare = m->capacity == 0 && h->spares > 0;
    if (is_bare || h->spares == HUB_MAILS_SPARE || m->capacity > MAIL_EVENTS_KEPT) {
        mail_destroy(m);
        return;
    }
    m->parcel.next = h->spare;
    h->spare = &m->parcel;
    h->spares++;
}

bool hub_turn_is_long(const struct hub *h)
{
    return clock_ms() > h->now.ms + HUB_TURN_MS;
}

/* Steps through the batches that came first, and puts them, empty, into the mails home. */
static void hub_work(struct hub *h)
{
    for (unsigned i = 0; i < HUB_TURN_BATCHES && h->first != NULL && !hub_turn_is_long(h); i++) {
        struct mail *m = mail_of(h->first);
        struct batch *b = m->batches;
        if (b != NULL) {
            hub_step(h, b);
            m->batches = b->next;
            struct mail *home = m->loop == HUB_DESK ? hub_desk_mail(h) : hub_mail(h, m->loop);
            b->next = home->batches;
            home->batches = b;
        }
        if (m->batches == NULL) {
            h->first = m->parcel.next;
            if (h->first == NULL)
                h->last = &h->first;
            hub_spare(h, m);
        }
    }
}

/* With one loop and no word for the desk events go as they lie: the arrays change hands. */
static bool hub_swap(struct hub *h, struct effects *e)
{
    if (h->n_loops > 1 || e->n == 0)
        return false;
    for (size_t i = 0; i < e->n; i++)
        if (outlet_is_desks(e->events[i].to.outlet))
            return false;
    struct mail *m = hub_mail(h, 0);
    struct event *empty = m->events;
    size_t capacity = m->capacity;
    CHECK(m->n == 0);
    m->events = e->events;
    m->capacity = e->capacity;
    m->n = e->n;
    e->events = empty;
    e->capacity = capacity;
    return true;
}

/* Sorts what the turn has caused by loop, and posts it. */
static void hub_post(struct hub *h, struct effects *e)
{
    bool is_sorted = hub_swap(h, e);
    for (size_t i = 0; !is_sorted && i < e->n; i++) {
        const struct event *event = &e->events[i];
        if (outlet_is_desks(event->to.outlet))
            hub_answer_desk(h, event);
        else
            mail_add(hub_mail(h, (event->to.outlet.slot - DESK_SLOTS) % h->n_loops), event);
    }
    hub_post_desk(h);
    for (unsigned i = 0; i < h->n_loops; i++) {
        if (e->alarms_changed) {
            hub_mail(h, i)->has_alarms = true;
            h->out[i]->alarms = e->alarms;
        }
        if (h->out[i] != NULL)
            lane_post(h->loops[i], &h->out[i]->parcel);
        h->out[i] = NULL;
    }
    effects_clear(e);
}

static void *hub_run(void *arg)
{
    struct hub *h = arg;
    while (!h->is_stopping) {
        uint64_t deadline = hub_deadline(h), now = clock_ms();
        if (h->first == NULL && deadline > now)
            lane_wait(&h->inbox, deadline == UINT64_MAX ? UINT64_MAX : deadline - now);
        hub_collect(h);
        hub_begin(h);
        if (h->first != NULL)
            hub_work(h);
        else if (hub_deadline(h) <= h->now.ms)
            hub_step(h, NULL);
        hub_post(h, hub_end(h));
    }
    return NULL;
}

void hub_start(struct hub *h, struct lane **lanes)
{
    CHECK(h->n_loops > 0);
    h->loops = lanes;
    CHECK(pthread_create(&h->thread, NULL, hub_run, h) == 0);
    pthread_setname_np(h->thread, "hub");
}

struct lane *hub_inbox(struct hub *h)
{
    return &h->inbox;
}

void hub_stop(struct hub *h)
{
    struct parcel *stop = alloc_zeroed(sizeof *stop);
    stop->kind = PARCEL_STOP;
    lane_post(&h->inbox, stop);
    pthread_join(h->thread, NULL);
    hub_collect(h);
}
