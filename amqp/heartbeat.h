/* Heartbeats, sent and awaited (reference amqp-protocol 1.5). */
#ifndef AMQP_HEARTBEAT_H
#define AMQP_HEARTBEAT_H

#include <stdint.h>

struct session;

enum { HEARTBEAT_MISSES_MAX = 2 }; /* looks in a row without a byte: the peer is gone */

/* The interval was agreed on. */
void heartbeat_start(struct session *s);

/* Does what is due by s->now. */
void heartbeat_tick(struct session *s);

uint64_t heartbeat_deadline(const struct session *s);
#endif
