/* The simulation (reliability H9): clients that speak AMQP, real sessions and the real model, in a world without
 * sockets, threads or clocks, in which the seed decides what happens next.
 *
 *     SEED=1 N=300 STEPS=400 tests/sim/sim        seeds SEED … SEED + N - 1; TRACE=1 tells the story
 */
#include "tests/sim/schedule.h"

int main(void)
{
    return schedule_main(false);
}
