/* Where stores are made, harmed and looked at with millrace-store: a folder of its own, and commands of the shell. */
#ifndef TESTS_TOOL_WORKSHOP_H
#define TESTS_TOOL_WORKSHOP_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/tool/stock.h"

extern const char *const workshop_tool; /* the program */

/* For cmocka: makes the folder, and removes it. */
int workshop_begin(void **state);
int workshop_end(void **state);
const char *workshop_path(void);

/* A command; its exit status. */
int workshop_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Of the tool's `verify`; what it said can be shown. */
int workshop_verify(const char *folder);
void workshop_show_said(void);

/* An empty folder in the workshop; the caller frees its path. */
char *workshop_folder(const char *name);

/* Bytes, names and times of all that is in there. */
uint32_t workshop_fingerprint(const char *path);

/* A stock that is closed. */
void workshop_fill(struct stock *k, const char *path, uint64_t seed, unsigned records, bool is_clean);

/* What the broker would find, and how much the store says is lost. */
struct workshop_outcome {
    bool is_open;
    uint64_t wrong, losses;
};
/* Opens it as the broker does, and compares it with what must be in it. */
struct workshop_outcome workshop_open(const struct stock *k, const char *path);
#endif
