/* Runs the scenarios of ../scenarios.txt with rabbitmq-c and prints TAP. */
#include "interop.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a scenario tells its parent. */
static struct shared {
    int names;
    char reason[REASON_LIMIT];
} * shared;

static char prefix[NAME_LIMIT];
static const char *running;

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(shared->reason, sizeof shared->reason, format, arguments);
    va_end(arguments);
    _exit(1);
}

static const char *name_of(int number)
{
    char *name = NULL;
    if (asprintf(&name, "%s%s-%d", prefix, running, number) < 0)
        abort();
    return name;
}

const char *name_new(void)
{
    return name_of(++shared->names);
}

/* Deletes queues and exchanges of all names that were given out; one that is not there is no error. */
static void cleanup(void)
{
    int names = shared->names;
    if (names == 0)
        return;
    struct channel ch = channel_new();
    for (int i = 1; i <= names; i++) {
        const char *name = name_of(i);
        amqp_queue_delete(ch.conn, ch.number, amqp_cstring_bytes(name), 0, 0);
        answered(ch, "queue.delete when cleaning up");
        amqp_exchange_delete(ch.conn, ch.number, amqp_cstring_bytes(name), 0);
        answered(ch, "exchange.delete when cleaning up");
    }
}

/* Runs it in a process of its own; answers whether that ended well, and if not, shared->reason says why. */
static bool run_in_child(void (*run)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child == 0) {
        alarm(SCENARIO_S); /* its signal ends the process */
        run();
        disconnect_all();
        _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        perror("waitpid");
        exit(1);
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(shared->reason, sizeof shared->reason, "no end after %d s", SCENARIO_S);
    else if (WIFSIGNALED(status))
        snprintf(shared->reason, sizeof shared->reason, "ended by signal %d", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_one(const struct scenario *s, int number)
{
    running = s->name;
    memset(shared, 0, sizeof *shared);
    bool ok = run_in_child(s->run);
    char reason[REASON_LIMIT];
    memcpy(reason, shared->reason, sizeof reason);
    if (!run_in_child(cleanup) && ok) {
        ok = false;
        memcpy(reason, shared->reason, sizeof reason);
    }
    printf("%sok %d - %s\n", ok ? "" : "not ", number, s->name);
    if (!ok) {
        for (char *line = strtok(reason, "\n"); line; line = strtok(NULL, "\n"))
            printf("# %s\n", line);
    }
    return ok;
}

/* Whether the scenario was asked for: named, or none is. */
static bool is_wanted(const struct scenario *s, char **names)
{
    bool is_named = !*names;
    for (; *names && !is_named; names++)
        is_named = strcmp(*names, s->name) == 0;
    return is_named;
}

int main(int argc, char **argv)
{
    char **names = argc > 0 ? argv + 1 : argv;
    const struct scenario *all[] = {basics, deliveries, features};
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return 1;
    snprintf(prefix, sizeof prefix, "interop-rabbitmq-c-%ld-%08x-", (long)getpid(), random);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    int count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (const struct scenario *s = all[i]; s->name; s++)
            count += is_wanted(s, names);
    }
    printf("TAP version 13\n1..%d\n", count);
    int number = 0;
    int failed = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (const struct scenario *s = all[i]; s->name; s++) {
            if (is_wanted(s, names))
                failed += !run_one(s, ++number);
        }
    }
    return failed > 0;
}
