/* What a queue was declared as: what it keeps of the command's struct spec, in a fraction of the room.  Most queues
 * have no arguments, so options that say nothing are shared by all of them.
 */
#ifndef BROKER_MODEL_QUEUE_SPEC_H
#define BROKER_MODEL_QUEUE_SPEC_H

#include "broker/port/spec.h"

struct queue_spec {
    struct bytes name, arguments;        /* views into data */
    const struct queue_options *options; /* as the arguments say; in data, or queue_options_none */
    bool durable, exclusive, auto_delete, hidden, is_reply;
    _Alignas(struct queue_options) uint8_t data[];
};

/* With copies of what the spec's views point at.  The caller owns it and gives it to free(). */
struct queue_spec *queue_spec_create(const struct spec *from);

/* As a spec again, for its definition; views into it. */
struct spec queue_spec_as_spec(const struct queue_spec *s);
#endif
