/* The simulation (reliability H9): clients that speak AMQP, real sessions and the real model, in a world without
 * sockets, threads or clocks, in which the seed decides what happens next.
 *
 *     SEED=1 N=300 STEPS=400 tests/sim/sim        seeds SEED … SEED + N - 1; TRACE=1 tells the story
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "tests/sim/marks.h"
#include "tests/sim/schedule.h"

enum { SEEDS = 300, STEPS = 1000, TWICE_EVERY = 25, CHECKED_STEPS_MAX = 400000 };

/* Unset and empty are the same: make passes what it was not given as empty. */
static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
    uint64_t first = number_from("SEED", 1), n = number_from("N", SEEDS);
    unsigned steps = (unsigned)number_from("STEPS", STEPS), differ = 0;
    bool check = n * steps <= CHECKED_STEPS_MAX;
    log_set_level(LOG_NO_LEVEL);
    printf("1..3\n");
    for (uint64_t seed = first; seed < first + n; seed++) {
        uint64_t trace = schedule_run(seed, steps, check);
        if ((seed - first) % TWICE_EVERY == 0 && schedule_run(seed, steps, check) != trace) {
            printf("# seed %llu had two traces\n", (unsigned long long)seed);
            differ++;
        }
    }
    printf("ok 1 - %llu seeds from %llu, %u steps each, break no promise\n", (unsigned long long)n,
           (unsigned long long)first, steps);
    printf("%s 2 - the same seed is the same run\n", differ == 0 ? "ok" : "not ok");
    if (n < SEEDS) {
        printf("ok 3 - # SKIP too few seeds for every rare branch\n");
        return differ > 0;
    }
    unsigned never = marks_report(getenv("MARKS") != NULL);
    printf("%s 3 - every rare branch was taken\n", never == 0 ? "ok" : "not ok");
    return differ > 0 || never > 0;
}
