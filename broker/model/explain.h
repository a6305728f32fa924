/* Where a message would go, and why (INSPECT_ROUTE): which bindings match and which do not, which queues receive it,
 * what each of them would do with it, and what would become of it if it died there.  Nothing is published, and nothing
 * changes (look.h).
 *
 * The answer's rows are of several sorts, which the column `row` tells:
 *
 *   exchange     one on the way: name type internal; via: published, binding or alternate; certain, after_ms (if it is
 *                reached later), delay_ms (if it delays), duplicate (it knows the message), one_of (it picks one of so
 *                many by chance), matches; alternate and alternate_missing, where it has an alternate exchange
 *   binding      of one of those: source destination destination_type routing_key arguments; matched; key: the routing
 *                key that did it; certain; why, if it does not match: only where there are few
 *   queue        that receives it: name type certain after_ms messages_ready consumers outcome explanation; of those
 *                beyond the first EXPLAIN_QUEUES_MAX only name and certain
 *   consumer     who could be given it there now, the next first: queue consumer_tag priority channel connection user
 *   dead_letter  what becomes of it if it dies in that queue: queue reason depth outcome explanation, exchange and
 *                routing_key where its letter goes to, queues A: their names; via: the queue of the message before it,
 *                at depth 2 and more
 *   end          the last: reached (queues that receive it) matches left_off (rows that found no room)
 *
 * A queue's outcome is one of: delivered (a consumer gets it at once), queued, pushes_out (an older one goes for it),
 * refused (so it is nowhere, and confirms say so), duplicate (dropped as one), appended (to a stream).  A dead
 * letter's: routed, discarded (no dead-letter exchange), no_exchange (it does not exist), nowhere (nothing is bound),
 * cycle (it would come back without having been rejected, and is dropped).
 */
#ifndef BROKER_MODEL_EXPLAIN_H
#define BROKER_MODEL_EXPLAIN_H

struct broker;
struct exchange;
struct inspection;

enum {
    EXPLAIN_BINDINGS_MAX = 256,   /* rows of those that match, and … */
    EXPLAIN_ALL_MISSES_MAX = 256, /* … of those that do not, and … */
    EXPLAIN_MISSES_MAX = 32,      /* … how many bindings an exchange may have for those to be told that do not */
    EXPLAIN_QUEUES_MAX = 32,      /* that are told in full … */
    EXPLAIN_NAMES_MAX = 256,      /* … and in short; likewise of a dead letter's queues, and of exchanges */
    EXPLAIN_CONSUMERS_MAX = 8,    /* of one queue */
    EXPLAIN_DEPTH_MAX = 4,        /* dead letters of dead letters */
    EXPLAIN_WALKS_MAX = 64,       /* that are made for dead letters … */
    EXPLAIN_MATCHES_MAX = 8192,   /* … as long as they have not found so many bindings … */
    EXPLAIN_LOOKS_MAX = 32768,    /* … nor all walks looked at so many, one by one */
};

/* Answers the inspection, whose msg is published to x. */
void explain(struct broker *b, struct inspection *to, struct exchange *x);
#endif
