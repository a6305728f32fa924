/* The simulation of the whole broker (reliability H9, R36): as tests/sim/sim, but with the real gate, the real store on
 * a fake disk, and brokers that end at any moment and are followed by others.
 *
 *     SEED=1 N=300 STEPS=400 tests/sim/sim-crash        seeds SEED … SEED + N - 1; TRACE=1 tells the story
 */
#include "tests/sim/schedule.h"

int main(void)
{
    return schedule_main(true);
}
