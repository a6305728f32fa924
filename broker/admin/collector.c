#include "broker/admin/collector.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "broker/admin/json.h"
#include "broker/admin/state.h"
#include "broker/admin/ticker.h"
#include "broker/port/inspection.h"

struct collector {
    struct admin *admin;     /* borrowed */
    struct rates *rates;     /* owned */
    struct ticker *ticker;   /* owned */
    struct samples *samples; /* owned; NULL: under way */
    json_t *totals;          /* owned: the last that were seen, or NULL */
    struct measure measure;
    uint64_t measured_ms, begun_ms;
    uint32_t slot; /* its desk's, among the requests' */
};

static struct command *ask(struct collector *c, enum verb verb)
{
    const struct origin desk = {.outlet = {.slot = c->slot, .generation = DESK_GENERATION}};
    return outbox_add(&c->admin->outbox, verb, desk, 0);
}

static void ask_samples(struct collector *c)
{
    ask(c, SAMPLE)->samples = c->samples != NULL ? c->samples : samples_create();
    c->samples = NULL;
}

static void on_tick(void *arg)
{
    struct collector *c = arg;
    c->begun_ms = clock_ms();
    rates_begin(c->rates, c->begun_ms);
    ask_samples(c);
}

/* The next round begins an interval after this one has. */
static void end_round(struct collector *c)
{
    uint64_t values[RATES_COLUMNS], now = clock_ms(), next = c->begun_ms + c->admin->config.statistics_interval_ms;
    collector_node(c, NULL, values);
    rates_take_node(c->rates, c->measured_ms, values);
    rates_end(c->rates);
    ticker_set(c->ticker, next > now ? next - now : 0);
}

static void on_samples(struct collector *c, struct event *e)
{
    bool is_all = true;
    if (e->what == DONE) {
        c->samples = e->done.samples;
        e->done.samples = NULL;
        rates_take_samples(c->rates, c->samples);
        is_all = c->samples->is_all;
    }
    if (is_all)
        ask(c, INSPECT)->inspection = inspection_create(INSPECT_TOTALS, NULL, NULL);
    else
        ask_samples(c);
}

static void on_totals(struct collector *c, const struct event *e)
{
    size_t at = 0;
    struct bytes row;
    if (e->what == DONE && inspection_next(e->done.inspection, &at, &row)) {
        json_decref(c->totals);
        c->totals = json_of_table(row);
    }
    c->measured_ms = 0;
    end_round(c);
}

bool collector_on_event(struct collector *c, struct event *e)
{
    if (c == NULL || e->to.outlet.slot != c->slot)
        return false;
    if (e->verb == SAMPLE)
        on_samples(c, e);
    else
        on_totals(c, e);
    return true;
}

const struct rates *collector_rates(const struct collector *c)
{
    return c->rates;
}

void collector_forget_histories(struct collector *c)
{
    rates_forget_histories(c->rates);
}

const struct measure *collector_measure(struct collector *c)
{
    uint64_t now = clock_ms();
    if (c->measured_ms == 0 || now - c->measured_ms >= COLLECTOR_MEASURES_MS) {
        measure_take(&c->measure, &c->admin->config);
        c->measured_ms = now;
    }
    return &c->measure;
}

static uint64_t number_in(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

uint64_t collector_total(const struct collector *c, const char *name)
{
    return number_in(c->totals, name);
}

void collector_node(struct collector *c, const json_t *totals, uint64_t values[RATES_COLUMNS])
{
    const struct measure *m = collector_measure(c);
    const struct rates_object *all = rates_find(c->rates, SAMPLE_BROKER, 0);
    totals = totals != NULL ? totals : c->totals;
    memset(values, 0, RATES_COLUMNS * sizeof *values);
    values[RATES_CONNECTION_CREATED] = number_in(totals, "connections_opened");
    values[RATES_CONNECTION_CLOSED] = number_in(totals, "connections_closed");
    values[RATES_CHANNEL_CREATED] = number_in(totals, "channels_opened");
    values[RATES_CHANNEL_CLOSED] = number_in(totals, "channels_closed");
    values[RATES_QUEUE_DECLARED] = number_in(totals, "queues_declared");
    values[RATES_QUEUE_CREATED] = number_in(totals, "queues_created");
    values[RATES_QUEUE_DELETED] = number_in(totals, "queues_deleted");
    values[RATES_CONTEXT_SWITCHES] = m->context_switches;
    if (all != NULL) {
        values[RATES_IO_READ_COUNT] = rates_value(all, RATES_BIT(COUNT_DISK_READS));
        values[RATES_MSG_STORE_READS] = values[RATES_IO_READ_COUNT];
        values[RATES_MSG_STORE_WRITES] = rates_value(all, RATES_BIT(COUNT_DISK_WRITES));
    }
    values[RATES_IO_READ_BYTES] = m->read_bytes;
    values[RATES_IO_WRITE_COUNT] = m->own.write_us.count;
    values[RATES_IO_WRITE_BYTES] = m->own.written_bytes;
    values[RATES_IO_WRITE_US] = m->own.write_us.sum;
    values[RATES_IO_SYNC_COUNT] = m->own.sync_us.count;
    values[RATES_IO_SYNC_US] = m->own.sync_us.sum;
    values[RATES_MEM_USED] = m->resident_bytes;
    values[RATES_FD_USED] = m->descriptors;
    values[RATES_SOCKETS_USED] = number_in(totals, "connections");
    values[RATES_PROC_USED] = m->threads;
    values[RATES_DISK_FREE] = m->disk_free;
}

struct collector *collector_create(struct admin *a)
{
    struct collector *c = alloc_zeroed(sizeof *c);
    uint32_t generation;
    c->admin = a;
    c->slot = slots_take(&a->requests, c, &generation);
    c->rates = rates_create(a->config.statistics_interval_ms, clock_wall_ms() - clock_ms());
    c->ticker = ticker_create(a->base, on_tick, c);
    if (!a->config.is_without_rates)
        ticker_set(c->ticker, 0);
    return c;
}

void collector_destroy(struct collector *c)
{
    if (c == NULL)
        return;
    slots_give(&c->admin->requests, c->slot);
    ticker_destroy(c->ticker);
    rates_destroy(c->rates);
    samples_destroy(c->samples);
    json_decref(c->totals);
    free(c);
}
