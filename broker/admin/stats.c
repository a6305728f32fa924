#include "broker/admin/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "broker/admin/collector.h"
#include "broker/admin/json.h"
#include "broker/admin/state.h"

enum { NAME_MAX_BYTES = 64, MS_PER_S = 1000 };

static const struct rates *rates_for(const struct request *r)
{
    return collector_rates(r->admin->collector);
}

uint64_t stats_number(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

const struct rates_object *stats_find(const struct request *r, unsigned kind, const json_t *statistics)
{
    return statistics == NULL ? NULL : rates_find(rates_for(r), kind, stats_number(statistics, "id"));
}

double stats_rate(const struct request *r, const struct rates_object *o, uint64_t columns)
{
    return o == NULL ? 0.0 : rates_of(rates_for(r), o, columns, clock_ms());
}

/* ---- Details. */

static json_t *integer(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *sample_of(const struct rates_samples *h, unsigned i, struct rates_range range, json_t *value)
{
    json_t *one = json_object();
    json_set(one, "sample", value);
    json_set(one, "timestamp", integer(h->at_ms - (uint64_t)i * range.incr_s * MS_PER_S));
    return one;
}

static void add_history(json_t *details, const struct rates_samples *h, struct rates_range range)
{
    json_t *samples = json_array();
    double sum = 0.0, risen = (double)(int64_t)(h->values[0] - h->values[h->n - 1]);
    for (unsigned i = 0; i < h->n; i++) {
        json_add(samples, sample_of(h, i, range, integer(h->values[i])));
        sum += (double)h->values[i];
    }
    json_set(details, "samples", samples);
    json_set(details, "avg", json_real(sum / h->n));
    json_set(details, "avg_rate", json_real(h->n > 1 ? risen / ((double)(h->n - 1) * range.incr_s) : 0.0));
}

/* Most rates are 0, and share one object. */
static json_t *details_of(const struct request *r, const struct rates_object *o, uint64_t columns, uint64_t now,
                          struct rates_range range)
{
    double rate = stats_rate(r, o, columns);
    if (rate == 0.0 && range.incr_s == 0)
        return json_incref(r->admin->templates[TEMPLATE_STILL]);
    json_t *details = json_object();
    json_set(details, "rate", json_real(rate));
    if (range.incr_s != 0) {
        struct rates_samples *h = alloc(sizeof *h);
        rates_read(rates_for(r), o, columns, now, range, clock_ms(), h);
        add_history(details, h, range);
        free(h);
    }
    return details;
}

// NOLINTNEXTLINE(readability-function-size): a value, its history and where they go
void stats_set_details(const struct request *r, json_t *to, const char *name, const struct rates_object *o,
                       uint64_t columns, uint64_t now, struct rates_range range)
{
    char key[NAME_MAX_BYTES];
    snprintf(key, sizeof key, "%s_details", name);
    json_set(to, key, details_of(r, o, columns, now, range));
}

// NOLINTNEXTLINE(readability-function-size): likewise
void stats_set(const struct request *r, json_t *to, const char *name, const struct rates_object *o, uint64_t columns,
               uint64_t now, struct rates_range range)
{
    json_set(to, name, integer(now));
    stats_set_details(r, to, name, o, columns, now, range);
}

void stats_set_lengths(const struct request *r, json_t *to, const struct rates_object *o)
{
    static const struct {
        const char *name;
        unsigned column;
    } lengths[] = {{"messages", RATES_MESSAGES},
                   {"messages_ready", RATES_READY},
                   {"messages_unacknowledged", RATES_UNACKNOWLEDGED}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        stats_set_details(r, to, lengths[i].name, o, RATES_BIT(lengths[i].column), stats_number(to, lengths[i].name),
                          r->look.lengths);
}

static double average(uint64_t us, uint64_t count)
{
    enum { US_PER_MS = 1000 };
    return count == 0 ? 0.0 : (double)us / (double)count / US_PER_MS;
}

void stats_set_average(const struct request *r, json_t *to, const char *name, const struct rates_object *o,
                       struct stats_average a, struct rates_range range)
{
    json_set(to, name, json_real(average(a.us, a.count)));
    if (range.incr_s == 0) {
        stats_set_details(r, to, name, o, 0, 0, range);
        return;
    }
    char key[NAME_MAX_BYTES];
    struct rates_samples *us = alloc(2 * sizeof *us), *counted = us + 1;
    json_t *details = json_object(), *samples = json_array();
    double sum = 0.0;
    rates_read(rates_for(r), o, a.us_column, a.us, range, clock_ms(), us);
    rates_read(rates_for(r), o, a.count_column, a.count, range, clock_ms(), counted);
    for (unsigned i = 0; i < us->n; i++) {
        double value = average(us->values[i], counted->values[i]);
        json_add(samples, sample_of(us, i, range, json_real(value)));
        sum += value;
    }
    json_set(details, "rate", json_real(0.0));
    json_set(details, "samples", samples);
    json_set(details, "avg", json_real(sum / us->n));
    json_set(details, "avg_rate", json_real(0.0));
    free(us);
    snprintf(key, sizeof key, "%s_details", name);
    json_set(to, key, details);
}

/* ---- message_stats. */

enum group {
    PUT = 1 << 0,   /* into a queue, or by a client … */
    TOLD = 1 << 1,  /* … and what a client is told of it */
    CAME = 1 << 2,  /* to an exchange … */
    WENT = 1 << 3,  /* … and out of it */
    TAKEN = 1 << 4, /* by consumers, and what they say of it */
    ON_DISK = 1 << 5,
};

static const struct {
    const char *name;
    uint64_t columns;
    enum group group;
} fields[] = {
    {"publish", STATS_BIT(PUBLISH), PUT},
    {"confirm", STATS_BIT(CONFIRM), TOLD},
    {"return_unroutable", STATS_BIT(RETURN_UNROUTABLE), TOLD},
    {"drop_unroutable", STATS_BIT(DROP_UNROUTABLE), TOLD},
    {"publish_in", STATS_BIT(PUBLISH_IN), CAME},
    {"publish_out", STATS_BIT(PUBLISH_OUT), WENT},
    {"deliver", STATS_BIT(DELIVER), TAKEN},
    {"deliver_no_ack", STATS_BIT(DELIVER_NO_ACK), TAKEN},
    {"deliver_get", STATS_DELIVER_GET, TAKEN},
    {"get", STATS_BIT(GET), TAKEN},
    {"get_no_ack", STATS_BIT(GET_NO_ACK), TAKEN},
    {"get_empty", STATS_BIT(GET_EMPTY), TAKEN},
    {"ack", STATS_BIT(ACK), TAKEN},
    {"redeliver", STATS_BIT(REDELIVER), TAKEN},
    {"disk_reads", STATS_BIT(DISK_READS), ON_DISK},
    {"disk_writes", STATS_BIT(DISK_WRITES), ON_DISK},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

static const unsigned groups_of[RATES_KINDS] = {
    [SAMPLE_QUEUE] = PUT | TAKEN,
    [SAMPLE_EXCHANGE] = CAME | WENT,
    [SAMPLE_CHANNEL] = PUT | TOLD | TAKEN,
    [SAMPLE_VHOST] = PUT | TOLD | TAKEN,
    [SAMPLE_BROKER] = PUT | TOLD | TAKEN | ON_DISK,
};

static uint64_t count(const json_t *statistics, uint64_t columns)
{
    uint64_t sum = 0;
    for (; columns != 0; columns &= columns - 1)
        sum += stats_number(statistics, sample_names[__builtin_ctzll(columns)]);
    return sum;
}

void stats_set_messages(const struct request *r, json_t *to, unsigned kind, const json_t *statistics,
                        const struct rates_object *o)
{
    uint64_t counts[FIELDS];
    unsigned seen = kind == SAMPLE_BROKER ? ~0U : 0;
    if (statistics == NULL && kind != SAMPLE_BROKER)
        return;
    for (unsigned i = 0; i < FIELDS; i++) {
        counts[i] = count(statistics, fields[i].columns);
        if (counts[i] != 0)
            seen |= (fields[i].group & (PUT | TOLD)) != 0 ? PUT | TOLD : fields[i].group;
    }
    json_t *all = json_object();
    for (unsigned i = 0; i < FIELDS; i++)
        if ((fields[i].group & seen & groups_of[kind]) != 0)
            stats_set(r, all, fields[i].name, o, fields[i].columns, counts[i], r->look.msg_rates);
    if (json_object_size(all) > 0 || kind == SAMPLE_BROKER)
        json_set(to, "message_stats", all);
    else
        json_decref(all);
}

void stats_set_idle(const struct request *r, json_t *to, const struct rates_object *o)
{
    uint64_t since_ms = o == NULL ? 0 : rates_idle_since(rates_for(r), o);
    if (since_ms == 0)
        return;
    char text[NAME_MAX_BYTES], all[NAME_MAX_BYTES];
    struct tm t;
    time_t seconds = (time_t)(since_ms / MS_PER_S);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &t));
    snprintf(all, sizeof all, "%.32s.%03u+00:00", text, (unsigned)(since_ms % MS_PER_S));
    json_set(to, "idle_since", json_string(all));
}
