/* A folder for a test to write in, below $TMPDIR or /tmp. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

enum { SCRATCH_PATH_MAX = 64 };

/* A new one, whose name begins so. */
void scratch_make(char folder[SCRATCH_PATH_MAX], const char *name);

/* With the files and the empty folders that are in it; 0 if nothing is left. */
int scratch_remove(const char *folder);
#endif
