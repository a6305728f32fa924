#include "tests/sim/marks.h"

#include <stdio.h>

static unsigned long counts[MARK_COUNT];

static const struct {
    const char *name, *text;
} marks[] = {
#define MARK(name, text) {#name, text},
#include MARKS
};

void mark_hit(enum mark m)
{
    counts[m]++;
}

unsigned marks_report(int all)
{
    unsigned never = 0;
    for (unsigned i = 0; i < MARK_COUNT; i++) {
        if (counts[i] == 0)
            printf("# never: %s (%s)\n", marks[i].name, marks[i].text);
        else if (all)
            printf("# %9lu %s\n", counts[i], marks[i].name);
        never += counts[i] == 0;
    }
    return never;
}
