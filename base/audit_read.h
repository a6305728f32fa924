/* Reading the audit log (base/audit.h) from its end, over the files that were rotated away: the newest line first, a
 * bounded piece at a time.  Where it goes on is said by the file's inode, so that a rotation between two pieces loses
 * nothing and repeats nothing. */
#ifndef BASE_AUDIT_READ_H
#define BASE_AUDIT_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { AUDIT_READ_BYTES = 4 << 20 /* of one call, and a block */ };

/* All zero: from the end. */
struct audit_place {
    uint64_t inode, offset;
};

/* A line without its newline; false: that is enough. */
typedef bool audit_each_fn(struct bytes line, void *arg);

/* Calls each, line by line, backwards from *place.  True: there may be more, from *place on. */
bool audit_read(struct audit_place *place, audit_each_fn *each, void *arg);
#endif
