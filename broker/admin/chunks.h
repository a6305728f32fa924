/* A body in chunks (RFC 9112 7.1): out of its wrapping. */
#ifndef BROKER_ADMIN_CHUNKS_H
#define BROKER_ADMIN_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

struct evbuffer;

enum {
    CHUNKS_LINE_MAX = 256, /* bytes of a line that says a chunk's size */
    CHUNKS_TRAILER_MAX = 8 << 10,
};

enum chunks_state { CHUNKS_MORE, CHUNKS_END, CHUNKS_BAD, CHUNKS_TOO_LARGE };

/* All zero at first. */
struct chunks {
    uint64_t left;    /* of the chunk that is read */
    uint32_t trailer; /* bytes of what comes behind the last one */
    bool is_in_data, is_behind_data, is_in_trailer, has_ended;
};

/* Moves what is there of the body from in to `to`, which will have at most max bytes. */
enum chunks_state chunks_read(struct chunks *c, struct evbuffer *in, struct evbuffer *to, uint64_t max);
#endif
