#include "broker/perf/options.h"

int main(int argc, char **argv)
{
    struct perf_options o;
    int verdict = perf_options_read(&o, argc, argv);
    if (verdict != PERF_OPTIONS_OK)
        return verdict == PERF_OPTIONS_HELPED ? 0 : 2;
    perf_options_fini(&o);
    return 0;
}
