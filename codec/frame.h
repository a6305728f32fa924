/* Frames: type, channel, size, payload, end octet (AMQP 0-9-1 section 2.3; reference amqp-protocol 1.2).
 *
 * Nothing is copied: a frame's payload is a view of the bytes it was cut from.
 */
#ifndef CODEC_FRAME_H
#define CODEC_FRAME_H

#include "base/bytes.h"
#include "codec/cursor.h"

enum { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8 };
enum { FRAME_HEAD = 7, FRAME_OVERHEAD = 8, FRAME_END = 0xCE, FRAME_MIN_SIZE = 4096 };

struct frame {
    uint8_t type;
    uint16_t channel;
    struct bytes payload; /* borrowed from the input */
};

enum frame_verdict {
    FRAME_OK,
    FRAME_SHORT,     /* not all of it is there yet */
    FRAME_TOO_LARGE, /* said by the head alone, before the payload came */
    FRAME_BAD_END,
};

/* Cuts one frame off the front of in.  max_payload: the largest payload size allowed.
 * FRAME_OK: *out is the frame, *used its whole length; with any other verdict *used is 0.  FRAME_TOO_LARGE and
 * FRAME_BAD_END: out->type and out->channel are set, and out->payload.len is the size that the head gave.  The payload
 * of FRAME_BAD_END may be read, and the octet after it is the wrong one; that of FRAME_TOO_LARGE has no bytes (at is
 * NULL).  The frame's type is not judged. */
enum frame_verdict frame_cut(struct bytes in, uint32_t max_payload, struct frame *out, size_t *used);

/* Writes a frame's head and leaves its size open; frame_close() fills the size in and adds the end octet. */
uint8_t *frame_open(struct pen *p, uint8_t type, uint16_t channel);
void frame_close(struct pen *p, uint8_t *mark);
#endif
