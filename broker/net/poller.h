/* One thread's sockets, timers and signals: libevent behind names of our own, since it has a struct event too.  What
 * happens is only noted by the callbacks; the loop works it off when the turn has begun.
 */
#ifndef BROKER_NET_POLLER_H
#define BROKER_NET_POLLER_H

#include <stdint.h>

struct poller;
struct watch;
struct timer;

enum watch_what { WATCH_READ = 1 << 0, WATCH_WRITE = 1 << 1 };

typedef void watch_fn(void *arg, unsigned what); /* enum watch_what, as bits */
typedef void timer_fn(void *arg);
typedef void signal_fn(void *arg, int number);

struct poller *poller_create(void);
void poller_destroy(struct poller *p); /* after its watches */

/* Waits for something to happen, at most timeout_ms (0: looks only, UINT64_MAX: for ever), and calls back for it. */
void poller_turn(struct poller *p, uint64_t timeout_ms);

/* Calls fn for a signal instead of what else it would do.  One poller of the process only. */
void poller_signal(struct poller *p, int number, signal_fn *fn, void *arg);

/* Calls fn once, so long after timer_set(); again when it is set again. */
struct timer *timer_new(struct poller *p, timer_fn *fn, void *arg);
void timer_set(struct timer *t, uint64_t after_ms);
void timer_destroy(struct timer *t); /* NULL is allowed */

/* Watches fd, for nothing yet. */
struct watch *watch_create(struct poller *p, int fd, watch_fn *fn, void *arg);
void watch_destroy(struct watch *w); /* before its fd is closed; NULL is allowed */
void watch_set(struct watch *w, unsigned what);
#endif
