/* A fuzz target is one function that is given any bytes, and dies where a promise is broken (CHECK).
 *
 * Linked with -fsanitize=fuzzer it searches; linked with main.c it replays the corpus, as part of make check.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
#endif
