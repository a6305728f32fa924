/* x-recent-history: a fanout that keeps the last messages and gives them to whoever is bound later (reference
 * queue-features 9.7).  They are kept in memory alone, so a restart forgets them, durable exchange or not. */
#ifndef BROKER_MODEL_ROUTE_RECENT_H
#define BROKER_MODEL_ROUTE_RECENT_H

#include <stdint.h>

struct broker;
struct exchange;
struct message;

enum {
    RECENT_LENGTH = 20,        /* messages, where no x-recent-history-length is given */
    RECENT_LENGTH_MAX = 10000, /* … and at most: a new binding is given all of them in one step */
    RECENT_SHARE = 8, /* all histories together may hold this part of the memory that raises the alarm: the oldest
                         messages of an exchange go sooner than its length says, or none are kept */
};

/* A publish of a transaction that has been committed, to this exchange, of whatever kind: what is held is not kept when
 * it is routed, for it may come to nothing, or be tried again. */
void recent_commit(struct broker *b, struct exchange *x, const struct message *m);

/* message_cost() of what it keeps. */
uint64_t recent_bytes(const struct exchange *x);
#endif
