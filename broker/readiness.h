/* What a service manager is told: that the broker is ready, what it is doing, that it lives (sd_notify(3), whose
 * datagrams are written here, so that nothing has to be linked for them).
 *
 * Where nobody listens (NOTIFY_SOCKET is not set) all of it does nothing.  The main thread's, but for what says other.
 */
#ifndef BROKER_READINESS_H
#define BROKER_READINESS_H

#include <stdbool.h>
#include <stdint.h>

struct readiness;

enum {
    READINESS_TEXT_MAX = 2048,     /* of a datagram */
    READINESS_SEND_MS = 2000,      /* for what must not be lost, if the manager does not read; heartbeats do not wait */
    READINESS_PROGRESS_MS = 1000,  /* between two words of progress */
    READINESS_EXTEND_MS = 60000,   /* how much longer the start may take, as of each of them */
    READINESS_LOOKS = 8,           /* in the manager's time: how often it is asked whether a heartbeat is due … */
    READINESS_BEATS = 2,           /* … how often one is, while all goes well, … */
    READINESS_STANDSTILLS = 4,     /* … and for which part of it something may stand still before it is not */
    READINESS_LOOK_MS_MAX = 10000, /* between two looks */
};

/* By the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, which are taken out of it. */
struct readiness *readiness_create(void);
void readiness_destroy(struct readiness *r); /* NULL is allowed */

/* What it is doing, for people. */
void readiness_status(struct readiness *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The start goes on: the manager is told so at most every READINESS_PROGRESS_MS, and allows READINESS_EXTEND_MS more.
 * Only called when something was done: a start that is stuck runs into the manager's limit. */
void readiness_progress(struct readiness *r, const char *what, uint64_t done, uint64_t total);

/* Clients are served at these addresses; the configuration is read again, and has been; the end has begun. */
void readiness_ready(struct readiness *r, const char *addresses);
void readiness_reloading(struct readiness *r);
void readiness_reloaded(struct readiness *r);
void readiness_stopping(struct readiness *r);

/* How often readiness_look() is to be called; 0: the manager wants no heartbeats. */
uint64_t readiness_look_ms(const struct readiness *r);

/* What stands still for so long is stuck; UINT64_MAX without heartbeats. */
uint64_t readiness_patience_ms(const struct readiness *r);

/* Sends a heartbeat if one is due and all that must move does. */
void readiness_look(struct readiness *r, bool is_alive);
#endif
