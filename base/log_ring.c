#define _GNU_SOURCE
#include "base/log_ring.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static char ring[LOG_RING_BYTES];
static uint64_t head, tail;             /* bytes ever put, and dropped */
static uint64_t oldest = 1, newest = 1; /* the line at tail; the line to come */

/* Bytes up to and with the newline of the line at that place. */
static size_t line_at(uint64_t at)
{
    uint64_t end = at;
    while (ring[end % LOG_RING_BYTES] != '\n' && end - at < LOG_RING_BYTES - 1)
        end++;
    return (size_t)(end + 1 - at);
}

void log_ring_put(const char *line, size_t n)
{
    if (n == 0 || n > LOG_RING_BYTES)
        return;
    pthread_mutex_lock(&lock);
    for (; head + n - tail > LOG_RING_BYTES; oldest++)
        tail += line_at(tail);
    size_t at = head % LOG_RING_BYTES, first = n < LOG_RING_BYTES - at ? n : LOG_RING_BYTES - at;
    memcpy(ring + at, line, first);
    memcpy(ring, line + first, n - first);
    head += n;
    newest++;
    pthread_mutex_unlock(&lock);
}

char *log_ring_read(uint64_t *from, uint64_t *next, size_t *length)
{
    char *text = alloc_array(NULL, LOG_RING_BYTES, 1);
    pthread_mutex_lock(&lock);
    uint64_t at = tail, number = oldest;
    for (; number < *from && number < newest; number++)
        at += line_at(at);
    *from = number;
    *next = newest;
    *length = (size_t)(head - at);
    size_t begin = at % LOG_RING_BYTES, first = *length < LOG_RING_BYTES - begin ? *length : LOG_RING_BYTES - begin;
    memcpy(text, ring + begin, first);
    memcpy(text + first, ring, *length - first);
    pthread_mutex_unlock(&lock);
    return text;
}
