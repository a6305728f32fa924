#define _GNU_SOURCE
#include "broker/net/hub.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker/net/gate.h"

struct hub {
    struct broker *broker; /* owned */
    struct effects effects;
    struct gate gate;
    struct instant now;
    unsigned alarms;
    uint64_t peak_bytes, trimmed_ms; /* most message bytes held since memory was given back, and when that was */

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
    for (struct batch *b = m->batches, *next; b != NULL; b = next) {
        next = b->next;
        for (unsigned i = 0; i < b->n; i++)
            command_drop(&b->commands[i]);
        free(b);
    }
    for (size_t i = 0; i < m->n; i++)
        event_drop(&m->events[i]);
    free(m->events);
    free(m);
}

struct hub *hub_create(const struct broker_config *config, unsigned loops)
{
    struct hub *h = alloc_zeroed(sizeof *h);
    h->broker = broker_create(config);
    effects_init(&h->effects);
    gate_init(&h->gate, UINT64_MAX); /* no journal: everything is as safe as it will ever be */
    h->n_loops = loops;
    h->last = &h->first;
    if (loops > 0) {
        h->out = alloc_zeroed(loops * sizeof(struct mail *));
        lane_init(&h->inbox);
    }
    return h;
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
    if (h->n_loops > 0)
        lane_fini(&h->inbox);
    mails_destroy(h->first);
    mails_destroy(h->spare);
    free((void *)h->out);
    gate_fini(&h->gate);
    effects_fini(&h->effects);
    broker_destroy(h->broker);
    free(h);
}

void hub_begin(struct hub *h)
{
    h->now = (struct instant){.ms = clock_ms(), .wall_ms = clock_wall_ms()};
}

void hub_step(struct hub *h, struct batch *b)
{
    if (b == NULL) {
        broker_step(h->broker, &h->now, NULL, 0, &h->effects);
        return;
    }
    broker_step(h->broker, &h->now, b->commands, b->n, &h->effects);
    b->n = 0;
}

static void hub_tell_alarm(const struct hub *h, unsigned alarms, enum alarm alarm, const char *name)
{
    if (((alarms ^ h->alarms) & alarm) == 0)
        return;
    if ((alarms & alarm) == 0) {
        log_warning("hub", "%s resource limit alarm cleared", name);
        return;
    }
    log_warning("hub", "%s resource limit alarm set", name);
    log_warning("hub", "**********************************************************");
    log_warning("hub", "*** Publishers will be blocked until this alarm clears ***");
    log_warning("hub", "**********************************************************");
}

/* Gives memory back to the system after much was freed: not every time, it walks the whole heap. */
static void hub_trim(struct hub *h)
{
    uint64_t held = broker_totals(h->broker).message_bytes;
    if (held > h->peak_bytes)
        h->peak_bytes = held;
    if (h->peak_bytes - held < HUB_TRIM_BYTES || h->now.ms < h->trimmed_ms + HUB_TRIM_MS)
        return;
    malloc_trim(0);
    h->peak_bytes = held;
    h->trimmed_ms = h->now.ms;
}

struct effects *hub_end(struct hub *h)
{
    struct effects *e = &h->effects;
    hub_trim(h);
    e->n = gate_hold(&h->gate, e->events, e->n);
    if (e->alarms_changed) {
        hub_tell_alarm(h, e->alarms, ALARM_MEMORY, "memory");
        hub_tell_alarm(h, e->alarms, ALARM_DISK, "disk");
        h->alarms = e->alarms;
    }
    return e;
}

uint64_t hub_deadline(const struct hub *h)
{
    return broker_deadline(h->broker);
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
    if (h->spares == HUB_MAILS_SPARE || m->capacity > MAIL_EVENTS_KEPT) {
        mail_destroy(m);
        return;
    }
    m->parcel.next = h->spare;
    h->spare = &m->parcel;
    h->spares++;
}

/* Takes in what was posted. */
static void hub_collect(struct hub *h)
{
    for (struct parcel *p = lane_collect(&h->inbox), *next; p != NULL; p = next) {
        next = p->next;
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
            struct mail *home = hub_mail(h, m->loop);
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

/* Sorts what the turn has caused by loop, and posts it. */
static void hub_post(struct hub *h, struct effects *e)
{
    for (size_t i = 0; i < e->n; i++) {
        struct mail *m = hub_mail(h, e->events[i].to.outlet.slot % h->n_loops);
        if (m->n == m->capacity) {
            m->capacity = alloc_grown(m->capacity, m->n + 1);
            m->events = alloc_array(m->events, m->capacity, sizeof *m->events);
        }
        m->events[m->n++] = e->events[i];
    }
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
