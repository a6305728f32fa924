/* millrace-perf: reads what is asked for, starts a broker if that is asked for, runs, and reports. */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>

#include "broker/perf/churn.h"
#include "broker/perf/die.h"
#include "broker/perf/idle.h"
#include "broker/perf/options.h"
#include "broker/perf/process.h"
#include "broker/perf/progress.h"
#include "broker/perf/report.h"
#include "broker/perf/run.h"

/* Binds a thread, or a process that has only one, to one processor; what it starts later has the same. */
static void bind_to(pid_t pid, int cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(pid, sizeof set, &set) != 0)
        die("processor %d: %s", cpu, strerrordesc_np(errno));
}

static void bind_thread(void *arg, pid_t pid, int thread)
{
    (void)pid;
    bind_to(thread, *(const int *)arg);
}

static void start_broker(struct process *broker, struct perf_options *o)
{
    cpu_set_t before;
    if (sched_getaffinity(0, sizeof before, &before) != 0)
        die("processors: %s", strerrordesc_np(errno));
    bind_to(0, o->cpu_server);
    process_start(broker, o->program, o->settings);
    sched_setaffinity(0, sizeof before, &before);
    if (o->is_durable && !folder_is_on_disk(broker->dir))
        fprintf(stderr, "millrace-perf: %s is not on a disk; BENCH_DIR may name a folder that is\n", broker->dir);
    o->uri.port = broker->port;
    o->pid = broker->pid;
}

static FILE *open_report(const char *file)
{
    FILE *f = strcmp(file, "-") == 0 ? stdout : fopen(file, "we");
    if (f == NULL)
        die("%s: %s", file, strerrordesc_np(errno));
    return f;
}

static void close_report(FILE *f, const char *file)
{
    if (fflush(f) != 0 || ferror(f) != 0 || (f != stdout && fclose(f) != 0))
        die("%s: %s", file, strerrordesc_np(errno));
}

static void report(const struct perf_options *o, const struct perf_result *r)
{
    struct perf_machine m;
    FILE *f;
    perf_machine_read(&m);
    if (!o->is_quiet && (o->json_file == NULL || strcmp(o->json_file, "-") != 0))
        perf_report_table(stdout, r);
    if (o->json_file != NULL) {
        f = open_report(o->json_file);
        perf_report_json(f, r, &m);
        close_report(f, o->json_file);
    }
    if (o->svg_file != NULL) {
        f = open_report(o->svg_file);
        perf_report_svg(f, r, &m);
        close_report(f, o->svg_file);
    }
}

static void run(const struct perf_options *o, struct perf_result *r)
{
    struct perf_progress progress;
    perf_progress_init(&progress, stderr, o);
    if (o->churn != PERF_CHURN_NONE)
        churn_run(o, r, &progress);
    else if (o->idle != PERF_IDLE_NONE)
        idle_run(o, r, &progress);
    else
        perf_run(o, r, &progress);
    perf_progress_end(&progress);
}

int main(int argc, char **argv)
{
    struct perf_options o;
    struct perf_result r;
    struct process broker;
    int verdict = perf_options_read(&o, argc, argv);
    if (verdict != PERF_OPTIONS_OK)
        return verdict == PERF_OPTIONS_HELPED ? 0 : 2;
    if (o.program != NULL)
        start_broker(&broker, &o);
    else if (o.cpu_server >= 0)
        process_each_thread(o.pid, bind_thread, &o.cpu_server);
    bind_to(0, o.cpu_client);
    perf_result_init(&r, &o);
    run(&o, &r);
    if (o.program != NULL)
        process_stop(&broker);
    report(&o, &r);
    perf_result_fini(&r);
    perf_options_fini(&o);
    return 0;
}
