#include "tests/sim/verdict.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t current_seed;
static unsigned current_step;
static bool is_traced, is_ready;

/* CHECK() prints what broke; this adds which run it was.  Not from a handler's rule book, but the run is lost anyway.
 */
static void on_crash(int number)
{
    char line[160];
    int n = snprintf(line, sizeof line, "# died by signal %d at step %u: replay with SEED=%llu N=1 TRACE=1\n", number,
                     current_step, (unsigned long long)current_seed);
    if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) < 0)
        _exit(3);
    signal(number, SIG_DFL);
    raise(number);
}

void verdict_begin(uint64_t seed)
{
    if (!is_ready) {
        is_ready = true;
        is_traced = getenv("TRACE") != NULL;
        signal(SIGABRT, on_crash);
        signal(SIGFPE, on_crash);
#ifndef __SANITIZE_ADDRESS__
        signal(SIGSEGV, on_crash);
#endif
    }
    current_seed = seed;
    current_step = 0;
}

void verdict_step(unsigned step)
{
    current_step = step;
}

void verdict_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("not ok - ");
    vprintf(format, args);
    va_end(args);
    printf("\n# at step %u: replay with SEED=%llu N=1 TRACE=1\n", current_step, (unsigned long long)current_seed);
    fflush(stdout);
    exit(1);
}

void verdict_note(const char *format, ...)
{
    if (!is_traced)
        return;
    va_list args;
    va_start(args, format);
    printf("# %u: ", current_step);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}
