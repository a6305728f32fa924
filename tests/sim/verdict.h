/* How a run ends that broke a promise: one line that says what, at which step of which seed, and the program is over.
 */
#ifndef SIM_VERDICT_H
#define SIM_VERDICT_H

#include <stdint.h>

/* Which run the next verdict is about; an abort or a crash names it too. */
void verdict_begin(uint64_t seed);
void verdict_step(unsigned step);

_Noreturn void verdict_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One more line of the story, if TRACE is set in the environment. */
void verdict_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
#endif
