/* The short way of publishes and acknowledgements beside the long one: tests/unit/twins.h. */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/twins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twins_run((struct bytes){.at = data, .len = size});
    return 0;
}
