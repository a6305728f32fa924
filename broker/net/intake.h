/* What a connection has read and its session has not taken yet.  Everybody reads into one big buffer a loop; a
 * connection keeps only what is left over, so an idle one holds no buffer at all.
 *
 *     struct space to = intake_space(&c->in, &loop->scratch);
 *     ssize_t n = read(fd, to.at, to.size);
 *     struct bytes all = intake_got(&c->in, to, n);
 *     intake_keep(&c->in, all, session_feed(s, all, now));
 */
#ifndef BROKER_NET_INTAKE_H
#define BROKER_NET_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* What one read brings is worked through, delivered and written before the next: input, messages and output of a turn
 * should fit the second-level cache of a core together. */
enum { SCRATCH_BYTES = 96 * 1024, INTAKE_BYTES_MIN = 4096 };

struct intake {
    uint8_t *at; /* owned: NULL while there is nothing */
    size_t len, capacity;
    bool is_secret; /* there are passwords in it: memory is wiped before it is given back */
    bool is_stuck;  /* nothing of it could be taken: copying it about once more would be in vain */
};

struct space {
    uint8_t *at;   /* borrowed, until the next call */
    size_t size;   /* never 0 */
    bool is_own;   /* it is the connection's own buffer */
    uint8_t *from; /* where what was left over begins */
};

void intake_init(struct intake *in);
void intake_fini(struct intake *in);

/* Where to read to.  scratch has SCRATCH_BYTES. */
struct space intake_space(struct intake *in, uint8_t *scratch);

/* n bytes were read to that space: the view of all there is, to be fed. */
struct bytes intake_got(const struct intake *in, const struct space *space, size_t n);

/* What is left over, without reading, to be fed. */
struct bytes intake_left(const struct intake *in);

/* What was read to that space is a secret, and has been kept or used: none of it stays there. */
void intake_wipe(const struct intake *in, const struct space *space, size_t n);

/* used bytes of all (of intake_got() or intake_left()) were taken; the rest is kept. */
void intake_keep(struct intake *in, struct bytes all, size_t used);
#endif
