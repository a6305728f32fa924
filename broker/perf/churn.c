#define _GNU_SOURCE
#include "broker/perf/churn.h"

#include "base/alloc.h"
#include "broker/perf/batches.h"
#include "broker/perf/callers.h"
#include "broker/perf/die.h"
#include "broker/perf/latency.h"
#include "broker/perf/site.h"

enum { TICK_MS = 50, FAILURES_MAX = 1000 /* before the first success */ };

#define SECOND UINT64_C(1000000000)

struct churn {
    const struct perf_options *o; /* borrowed */
    struct perf_result *r;        /* borrowed */
    struct perf_site site;
    struct callers *callers; /* owned; or NULL, and then there are batches */
    struct batches *batches; /* owned */
    uint64_t *left;          /* owned; of each caller: connections that it shall make */
    unsigned working;        /* callers that have some left */
    uint64_t done;           /* connections */
    bool is_measuring;
};

/* ---- Connections */

static bool on_open(void *arg, unsigned caller, uint64_t ns)
{
    struct churn *c = arg;
    (void)caller;
    if (c->is_measuring)
        latency_add(c->r->latency, ns);
    return true;
}

static void on_end(void *arg, unsigned caller, const char *why)
{
    struct churn *c = arg;
    if (why == NULL)
        c->done++;
    else if (++c->r->churned.failed >= FAILURES_MAX && c->done == 0)
        die("no connection succeeds: %s", why);
    if (--c->left[caller] > 0)
        callers_dial(c->callers, caller);
    else
        c->working--;
}

static const struct callers_events *caller_events(struct callers_events *to, struct churn *c)
{
    *to = (struct callers_events){.on_open = on_open, .on_end = on_end, .arg = c};
    return to;
}

/* ---- Either */

static void turn(struct churn *c, int ms)
{
    if (c->callers != NULL)
        callers_turn(c->callers, ms);
    else
        batches_turn(c->batches, ms);
}

static bool is_through(const struct churn *c)
{
    return c->callers != NULL ? c->working == 0 : batches_are_through(c->batches);
}

static struct perf_counts counts_of(const struct churn *c)
{
    if (c->callers != NULL)
        return (struct perf_counts){
            .operations = c->done, .sent = callers_sent(c->callers), .received = callers_received(c->callers)};
    return (struct perf_counts){.operations = batches_done(c->batches),
                                .sent = batches_sent(c->batches),
                                .received = batches_received(c->batches)};
}

/* Works until then, with a sample a second; true: it is over before. */
static bool work_until(struct churn *c, uint64_t until_ns)
{
    for (uint64_t look_ns = 0, now; !is_through(c);) {
        now = now_ns();
        if (now >= until_ns)
            return false;
        if (now >= look_ns) {
            look_ns = now + TICK_MS * UINT64_C(1000000);
            if (perf_site_is_stopped(&c->site))
                return true;
        }
        if (perf_watch_is_due(&c->site.watch, now)) {
            struct perf_counts at = counts_of(c);
            perf_watch_sample(&c->site.watch, &at);
        }
        turn(c, TICK_MS);
    }
    return true;
}

static void measure(struct churn *c)
{
    struct perf_counts at;
    bool is_over = c->o->warm_up > 0 && work_until(c, now_ns() + c->o->warm_up * SECOND);
    if (c->o->warm_up > 0) {
        at = counts_of(c);
        perf_watch_begin(&c->site.watch, &at);
    }
    c->is_measuring = true;
    if (!is_over)
        work_until(c, c->o->seconds > 0 ? now_ns() + c->o->seconds * SECOND : UINT64_MAX);
    at = counts_of(c);
    perf_watch_end(&c->site.watch, &at);
    if (at.operations == 0)
        die("not a single operation came to its end in %u seconds", c->o->warm_up + c->o->seconds);
}

/* ---- Before and after */

static uint64_t goal_of(const struct perf_options *o)
{
    return o->producer_messages > 0 ? o->producer_messages : UINT64_MAX;
}

static void start_callers(struct churn *c, const struct callers_events *events)
{
    c->left = alloc_array(NULL, c->o->producers, sizeof *c->left);
    c->r->latency = alloc_zeroed(sizeof *c->r->latency);
    c->working = c->o->producers;
    c->callers = callers_create(&c->site.to, c->o->producers, events);
    c->is_measuring = c->o->warm_up == 0;
    for (unsigned i = 0; i < c->o->producers; i++) {
        c->left[i] = goal_of(c->o);
        callers_dial(c->callers, i);
    }
}

static void start_batches(struct churn *c, enum batch_kind kind)
{
    const struct batches_config config = {
        .kind = kind, .links = c->o->producers, .size = CHURN_PIPELINE, .goal = goal_of(c->o)};
    c->batches = batches_create(&c->site.to, &config);
}

void churn_run(const struct perf_options *o, struct perf_result *r, struct perf_progress *progress)
{
    struct churn c = {.o = o, .r = r};
    struct callers_events events;
    perf_site_init(&c.site, o, r, progress);
    switch (o->churn) {
    case PERF_CHURN_CONNECTIONS:
    case PERF_CHURN_CONNECTIONS_TLS:
        start_callers(&c, caller_events(&events, &c));
        break;
    case PERF_CHURN_CHANNELS:
        start_batches(&c, BATCH_CHANNELS);
        break;
    case PERF_CHURN_QUEUES:
        start_batches(&c, BATCH_QUEUES);
        break;
    case PERF_CHURN_SERVER_NAMED:
        start_batches(&c, BATCH_SERVER_NAMED);
        break;
    case PERF_CHURN_NONE:
        die("no churn was asked for");
    }
    measure(&c);
    callers_destroy(c.callers);
    batches_destroy(c.batches);
    free(c.left);
    perf_site_fini(&c.site);
}
