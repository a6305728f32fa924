/* Coverage marks (reliability H10): what was really hit, counted over all runs of the program. */
#ifndef SIM_MARKS_H
#define SIM_MARKS_H

#ifndef MARKS /* which, as an include's name */
#define MARKS "tests/sim/marks.def"
#endif

/* MARK for every program, DISK_MARK for worlds with a disk alone. */
enum mark {
#define MARK(name, text) MARK_##name,
#define DISK_MARK(name, text) MARK_##name,
#include MARKS
#undef DISK_MARK
    MARK_COUNT
};

void mark_hit(enum mark m);

/* Those for worlds with a disk do not count. */
void marks_without_disk(void);

/* How many were never hit. */
unsigned marks_left(void);

/* Prints every mark that was never hit, or all of them with their counts; answers how many never were. */
unsigned marks_report(int all);
#endif
