#include "broker/pulse.h"

#include "broker/net/hub.h"
#include "broker/readiness.h"
#include "broker/store/keeper.h"

static void on_serving(void *arg)
{
    const struct pulse *p = arg;
    readiness_ready(p->readiness, server_addresses(p->server));
}

static void on_reloading(void *arg, bool is_over)
{
    const struct pulse *p = arg;
    if (is_over)
        readiness_reloaded(p->readiness);
    else
        readiness_reloading(p->readiness);
}

static void on_stopping(void *arg)
{
    const struct pulse *p = arg;
    readiness_stopping(p->readiness);
}

static void on_look(void *arg)
{
    const struct pulse *p = arg;
    const uint64_t patience = readiness_patience_ms(p->readiness);
    readiness_look(p->readiness,
                   hub_standstill_ms(server_hub(p->server)) < patience && keeper_standstill_ms(p->keeper) < patience);
}

struct server_watch pulse_watch(struct pulse *p)
{
    return (struct server_watch){.serving = on_serving,
                                 .reloading = on_reloading,
                                 .stopping = on_stopping,
                                 .look = on_look,
                                 .look_ms = readiness_look_ms(p->readiness),
                                 .arg = p};
}

static void on_progress(void *readiness, const char *what, uint64_t done, uint64_t total)
{
    readiness_progress(readiness, what, done, total);
}

struct recovery_witness pulse_of_recovery(struct readiness *r)
{
    return (struct recovery_witness){.progress = on_progress, .arg = r};
}
