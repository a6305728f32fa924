/* Where a consumer of a stream begins: what its x-stream-offset says (reference queue-features 7.3). */
#ifndef BROKER_MODEL_OFFSET_H
#define BROKER_MODEL_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum offset_kind {
    OFFSET_NEXT,  /* what comes from now on: also without the argument */
    OFFSET_FIRST, /* the oldest there is */
    OFFSET_LAST,  /* the newest */
    OFFSET_AT,    /* number: this very one */
    OFFSET_BACK,  /* number: so many before the next */
    OFFSET_TIME,  /* number: the first that is not older than this, in ms since 1970 */
};

struct offset {
    enum offset_kind kind;
    uint64_t number;
};

/* Reads it from a checked table of arguments, at that time.  NULL, or what is wrong with it, on the heap, as RabbitMQ
 * words it: "{invalid_stream_offset_arg,{longstr,<<"5">>}}". */
char *offset_read(struct bytes arguments, uint64_t wall_ms, struct offset *out);
#endif
