#include "tests/sim/marks.h"

#include <stdio.h>

static unsigned long counts[MARK_COUNT];
static int has_no_disk;

static const struct {
    const char *name, *text;
    int wants_disk;
} marks[] = {
#define MARK(name, text) {#name, text, 0},
#define DISK_MARK(name, text) {#name, text, 1},
#include MARKS
#undef DISK_MARK
};

void mark_hit(enum mark m)
{
    counts[m]++;
}

void marks_without_disk(void)
{
    has_no_disk = 1;
}

static int is_left(unsigned i)
{
    return counts[i] == 0 && !(marks[i].wants_disk && has_no_disk);
}

unsigned marks_left(void)
{
    unsigned left = 0;
    for (unsigned i = 0; i < MARK_COUNT; i++)
        left += is_left(i) != 0;
    return left;
}

unsigned marks_report(int all)
{
    unsigned never = 0;
    for (unsigned i = 0; i < MARK_COUNT; i++) {
        if (marks[i].wants_disk && has_no_disk)
            continue;
        if (counts[i] == 0)
            printf("# never: %s (%s)\n", marks[i].name, marks[i].text);
        else if (all)
            printf("# %9lu %s\n", counts[i], marks[i].name);
        never += counts[i] == 0;
    }
    return never;
}
