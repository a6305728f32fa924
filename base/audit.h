/* The audit log: who did what, from where, and what came of it, as lines of JSON (base/audit_line.h) in a file of their
 * own (reliability C31).  Global like base/log.h, for the same reason.
 *
 * Any thread may write.  Lines are gathered, and go to the file with one write() at audit_flush(), which every
 * loop whose thread writes calls once a turn, or when AUDIT_FLUSH_BYTES are waiting; lines of a thread stay in their
 * order.  A crash of the program loses what is waiting; a crash of the machine loses what the system has not written
 * yet.
 *
 * A file that cannot be written never stops the broker: the lines are lost, counted, and the log says so once, and
 * again when it works; then the file gets a line with the action "audit.lost" and how many they were.  There is never
 * half a line before a whole one.  A writer waits for the disk only when AUDIT_WAITING_MAX are waiting.
 */
#ifndef BASE_AUDIT_H
#define BASE_AUDIT_H

#include "base/audit_line.h"

enum {
    AUDIT_FLUSH_BYTES = 32 * 1024,
    AUDIT_WAITING_MAX = 256 * 1024,
    AUDIT_KEEP_MAX = 1000 /* old files */
};

/* Opens path to append to it, made with mode 0600 if it is not there; until then, and after audit_close(), writing
 * costs a branch.  Before a write that would make the file larger than max_bytes it is synced and becomes path.1,
 * path.1 becomes path.2 and so on, up to path.keep; max_bytes 0: it never does.  What is not a plain file is not
 * rotated. 0 or -errno; -EINVAL: keep is 0 with a max_bytes, or too many. */
int audit_open(const char *path, uint64_t max_bytes, unsigned keep);
void audit_close(void); /* flushes and syncs; safe when it is not open; no other thread may be writing */

/* Opens the path anew, as after logrotate has moved the file away.  -errno: it goes on with the old file. */
int audit_reopen(void);

bool audit_is_on(void);

void audit_write(const struct audit *a);
void audit_flush(void);

/* The name of the file that is nth old, 0 the one that is written, and how many old ones there may be; for those who
 * read.  The caller gives the name to free(); NULL, 0: it is not open. */
char *audit_name(unsigned nth);
unsigned audit_keep(void);

/* Lines lost since audit_open(). */
uint64_t audit_lost(void);
#endif
