/* The newest lines of the log, in memory, for those who ask a broker that writes no file.
 *
 * Global, as the log is.  Any thread may put, and read.  Lines have numbers from 1 on; the oldest are dropped when
 * there is no more room, which is bounded by bytes, whatever is logged.  Memory is taken as it is first used.
 */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include <stddef.h>
#include <stdint.h>

enum { LOG_RING_BYTES = 64 * 1024 };

/* n bytes, the last of them the only newline; more than LOG_RING_BYTES are not kept. */
void log_ring_put(const char *line, size_t n);

/* The lines from number *from on that are there still, as text that the caller gives to free(), and its length; *from
 * becomes the first one's number, *next the number of the line to come. */
char *log_ring_read(uint64_t *from, uint64_t *next, size_t *length);
#endif
