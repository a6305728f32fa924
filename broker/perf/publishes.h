/* Publishes made before the run, one behind the other, all of the same length, so that sending is nothing but handing
 * the kernel a part of them, round and round. */
#ifndef BROKER_PERF_PUBLISHES_H
#define BROKER_PERF_PUBLISHES_H

#include "base/bytes.h"

enum {
    PUBLISHES_ROOM = 256 << 10, /* bytes of one producer's; more only if they are so large, or go to so many queues */
    PUBLISHES_OF_ALL = 64 << 20,
};

struct publishes_of {
    const char *exchange;
    const char *const *keys; /* they take turns; borrowed, all of one length */
    unsigned keys_count;
    size_t size; /* of a body */
    uint32_t frame_max;
    bool is_persistent, is_mandatory;
};

struct publishes {
    uint8_t *at;    /* owned */
    size_t len;     /* of them all */
    size_t each;    /* bytes of one on the wire */
    size_t body;    /* where in one its body begins */
    uint64_t count; /* of them: a multiple of how many keys there are */
};

/* As many as fit into room, but one for each key at least.  Dies if the keys are of different lengths. */
void publishes_init(struct publishes *p, const struct publishes_of *of, size_t room);
void publishes_fini(struct publishes *p);

/* Writes into message i (counted from 0, without end) when it was sent, or due, and whose it is. */
void publishes_stamp(struct publishes *p, uint64_t i, uint64_t ns, uint64_t owner);
#endif
