/* Waiting for a broker to begin or to end. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { LOOK_MS = 100, CALL_MS = 5000, STARTUP_MS = 300000, PID_FILE_MS = 10000, STOP_MS = 300000 };

/* Any answer will do: a broker with alarms, or one that refuses the login, is there. */
int wait_ping(struct ctl *c)
{
    struct answer a;
    enum client_error error = ctl_try(c, "GET", path_of("whoami"), NULL, &a);
    answer_fini(&a);
    if (error == CLIENT_OK && c->format == FORMAT_JSON)
        return ctl_print_json(
            c, json_pack("{s:s, s:s, s:s}", "message", "Ping succeeded", "node", c->node, "result", "ok"));
    if (error == CLIENT_OK) {
        ctl_tell(c, "Ping succeeded");
        return 0;
    }
    if (error != CLIENT_UNREACHABLE)
        return ctl_unreachable(c, error);
    return ctl_fail(c, EX_UNAVAILABLE, "Failed to connect and authenticate to %s in %ld ms: %s", c->node, c->timeout_ms,
                    client_problem(c->client));
}

static int timed_out(const struct ctl *c, long timeout_ms)
{
    fprintf(stderr, "Error: operation %s on node %s timed out. Timeout value used: %ld\n", c->command->name, c->node,
            timeout_ms);
    return EX_TIMEOUT;
}

/* A wait in a loop: the deadline, and for what. */
struct waiting {
    int64_t until_ms;
    long timeout_ms; /* what the deadline was made of */
    long pid;        /* of a process that must live meanwhile; 0: none */
};

static bool lives(long pid)
{
    return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

/* Until the broker serves. */
static int await_broker(struct ctl *c, const struct waiting *w)
{
    for (;;) {
        int64_t left_ms = w->until_ms - ctl_now_ms();
        if (left_ms <= 0)
            return timed_out(c, w->timeout_ms);
        ctl_set_timeout(c, left_ms < CALL_MS ? (long)left_ms : (long)CALL_MS);
        struct answer a;
        enum client_error error = ctl_try(c, "GET", path_query(path_of("overview"), "columns", "node"), NULL, &a);
        bool is_ready = error == CLIENT_OK && a.status == 200, is_refused = error == CLIENT_OK && a.status == 401;
        answer_fini(&a);
        if (is_ready)
            return 0;
        if (is_refused)
            return ctl_fail(c, EX_NOPERM, "the broker refuses this login");
        if (w->pid > 0 && !lives(w->pid))
            return ctl_fail(c, EX_UNAVAILABLE, "process_not_running: the process %ld has ended", w->pid);
        ctl_sleep_ms(LOOK_MS);
    }
}

int wait_startup(struct ctl *c)
{
    struct waiting w = {.timeout_ms = ctl_timeout_ms(c, STARTUP_MS)};
    w.until_ms = ctl_now_ms() + w.timeout_ms;
    return ctl_done(c, await_broker(c, &w));
}

/* The number in a pid file, or 0. */
static long read_pid(const char *path)
{
    long pid = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%ld", &pid) != 1 || pid < 1) // NOLINT(cert-err34-c): what is no number is none
        pid = 0;
    fclose(f);
    return pid;
}

int wait_pid_file(struct ctl *c)
{
    struct waiting w = {.timeout_ms = ctl_timeout_ms(c, PID_FILE_MS),
                        .pid = (long)options_number(c->options, OPTION_PID, 0)};
    if (c->n_args == 0 && w.pid <= 0)
        return ctl_misused(c, EX_USAGE, "not enough arguments.");
    w.until_ms = ctl_now_ms() + w.timeout_ms;
    if (c->n_args > 0 && !c->is_quiet)
        ctl_tell(c, "Waiting for pid file '%s' to appear", c->args[0]);
    fflush(stdout);
    while (c->n_args > 0 && (w.pid = read_pid(c->args[0])) == 0) {
        if (ctl_now_ms() >= w.until_ms)
            return timed_out(c, w.timeout_ms);
        ctl_sleep_ms(LOOK_MS);
    }
    if (!c->is_quiet)
        ctl_tell(c, "pid is %ld\nWaiting for the broker to start on node %s", w.pid, c->node);
    fflush(stdout);
    return await_broker(c, &w);
}

/* Until the process, or the broker behind the socket, is gone. */
static int await_end(struct ctl *c, long pid, long timeout_ms)
{
    int64_t until_ms = ctl_now_ms() + timeout_ms;
    ctl_set_timeout(c, CALL_MS);
    for (;;) {
        struct answer a = {0};
        bool is_there = pid > 0 ? lives(pid) : ctl_try(c, "GET", path_of("whoami"), NULL, &a) == CLIENT_OK;
        answer_fini(&a);
        if (!is_there)
            return 0;
        if (ctl_now_ms() >= until_ms)
            return timed_out(c, timeout_ms);
        ctl_sleep_ms(LOOK_MS);
    }
}

int wait_stop(struct ctl *c)
{
    long pid = c->n_args > 0 ? read_pid(c->args[0]) : 0, timeout_ms = ctl_timeout_ms(c, STOP_MS);
    if (c->n_args > 0 && pid == 0)
        return ctl_fail(c, EX_DATAERR, "there is no process id in '%s'", c->args[0]);
    struct answer a;
    int status = ctl_call(c, "POST", path_of("millrace", "stop"), NULL, &a);
    if (status == 0 && ctl_is_unknown(&a))
        status = ctl_fail(c, EX_UNAVAILABLE, "this broker cannot be stopped from here");
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    bool waits = pid > 0 || c->command->name[1] == 'h'; /* shutdown */
    if (status == 0 && waits) {
        if (!c->is_quiet)
            ctl_tell(c, "Waiting until the broker has stopped ...");
        fflush(stdout);
        status = await_end(c, pid, timeout_ms);
    }
    return ctl_done(c, status);
}
