/* A time-out, or a descriptor that can be read, on the administration's event loop.  It keeps libevent's struct event
 * away from the port's. */
#ifndef BROKER_ADMIN_TICKER_H
#define BROKER_ADMIN_TICKER_H

#include <stdint.h>

struct event_base;
struct ticker;
typedef void ticker_fn(void *arg);

/* For a time-out, which is not set yet; or for whenever fd can be read, which is borrowed. */
struct ticker *ticker_create(struct event_base *base, ticker_fn *call, void *arg);
struct ticker *ticker_watch(struct event_base *base, int fd, ticker_fn *call, void *arg);
void ticker_destroy(struct ticker *t); /* NULL is allowed */

/* Calls once after so long. */
void ticker_set(struct ticker *t, uint64_t ms);
void ticker_stop(struct ticker *t); /* does not call any more */
#endif
