#include "broker/perf/result.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

void perf_result_init(struct perf_result *r, const struct perf_options *o)
{
    *r = (struct perf_result){.options = o, .started_at = (int64_t)time(NULL)};
}

void perf_result_fini(struct perf_result *r)
{
    free(r->samples);
    free(r->latency);
    free(r->confirm_latency);
    *r = (struct perf_result){0};
}

struct perf_sample *perf_result_add_sample(struct perf_result *r)
{
    if (r->samples_count == r->samples_room) {
        r->samples_room = (unsigned)alloc_grown(r->samples_room, r->samples_count + 1);
        r->samples = alloc_array(r->samples, r->samples_room, sizeof *r->samples);
    }
    struct perf_sample *s = &r->samples[r->samples_count++];
    *s = (struct perf_sample){0};
    return s;
}

const struct perf_sample *perf_result_first(const struct perf_result *r)
{
    return r->samples_count > 0 ? &r->samples[r->from] : NULL;
}

const struct perf_sample *perf_result_last(const struct perf_result *r)
{
    return r->samples_count > 0 ? &r->samples[r->samples_count - 1] : NULL;
}
