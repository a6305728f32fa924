/* The simulation of the store (reliability H4): records as the model would emit them, the real store, a disk that
 * forgets; the seed decides what happens next.
 *
 *     SEED=1 N=300 STEPS=400 tests/sim/sim-store        seeds SEED … SEED + N - 1; TRACE=1 tells the story
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "tests/sim/marks.h"
#include "tests/sim/store_world.h"

enum { SEEDS = 300, STEPS = 300, TWICE_EVERY = 25 };

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
    uint64_t first = number_from("SEED", 1), n = number_from("N", SEEDS);
    unsigned steps = (unsigned)number_from("STEPS", STEPS), differ = 0;
    log_set_level(LOG_NO_LEVEL);
    printf("1..3\n");
    for (uint64_t seed = first; seed < first + n; seed++) {
        uint64_t trace = world_run(seed, steps);
        if ((seed - first) % TWICE_EVERY == 0 && world_run(seed, steps) != trace) {
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
