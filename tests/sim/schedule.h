/* What happens next, from the seed: a run of so many steps, a look at the quiet world now and then, and the end, at
 * which every message is counted. */
#ifndef SIM_SCHEDULE_H
#define SIM_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* One run; answers its trace.  Ends the program if a promise was broken. */
uint64_t schedule_run(uint64_t seed, unsigned steps, bool has_disk, bool check);

/* The program: as many runs as the environment says.  The exit status. */
int schedule_main(bool has_disk);
#endif
