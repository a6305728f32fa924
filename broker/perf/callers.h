/* Connections made by the thousand, on one thread: each goes through the whole handshake, turn by turn as a client
 * library does it, until its channel 1 is open, and may then be closed as politely.
 *
 * All of them wait on one epoll.  What a caller says was encoded once for all; what it hears is cut by the codec, and
 * only what must be read is.
 */
#ifndef BROKER_PERF_CALLERS_H
#define BROKER_PERF_CALLERS_H

#include "broker/perf/link.h"

struct callers;

struct callers_events {
    /* A channel is open, so many nanoseconds after the caller dialled.  True: it closes its connection. */
    bool (*on_open)(void *arg, unsigned caller, uint64_t ns);
    /* The connection is closed; why: NULL, or what went wrong instead. */
    void (*on_end)(void *arg, unsigned caller, const char *why);
    void *arg;
};

/* to: borrowed, and so are the callbacks.  Says hello once, to learn the broker's address and name. */
struct callers *callers_create(const struct link_to *to, unsigned count, const struct callers_events *events);

/* Drops those that are there. */
void callers_destroy(struct callers *c);

/* Connects; the caller of that number must be at rest.  Callbacks may call it. */
void callers_dial(struct callers *c, unsigned number);

/* Does what there is to do, and waits for it up to ms. */
void callers_turn(struct callers *c, int ms);

/* Bytes in either direction, and by all of them, so far. */
uint64_t callers_sent(const struct callers *c);
uint64_t callers_received(const struct callers *c);
#endif
