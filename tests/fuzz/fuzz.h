/* What a fuzz target is: one function that takes any bytes.  tests/fuzz/main.c replays corpora through it, libFuzzer
 * looks for more. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif
