/* What other threads have to tell the hub: gathered until it looks, and posted to its lane once.  The parcel that says
 * so is part of it (PARCEL_NEWS): nobody frees it.
 */
#ifndef BROKER_NET_NEWS_H
#define BROKER_NET_NEWS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lane.h"
#include "broker/model/broker.h"
#include "broker/port/event.h"
#include "broker/port/load.h"

/* What was told.  Who takes it owns the loads, and gives the array back with it. */
struct news_items {
    uint64_t durable;    /* the journal's position … */
    uint64_t changes;    /* … and that of all but publishes that found no room */
    struct load **loads; /* owned: in order */
    size_t n_loads, capacity;
    unsigned alarms; /* enum alarm, as they are now … */
    bool has_alarms; /* … if that was said */
    struct broker_tuning tuning;
    bool has_tuning;
    bool is_shutting_down;
    bool is_asked; /* whether the hub still takes turns */
};

struct news {
    struct lane *lane; /* borrowed */
    pthread_mutex_t lock;
    /* Under lock. */
    struct parcel parcel;
    bool is_posted;
    struct news_items items;
};

void news_init(struct news *n, struct lane *lane);
void news_fini(struct news *n); /* drops what nobody took; the parcel must be in no lane */

/* Any thread. */
void news_tell_durable(struct news *n, uint64_t position, uint64_t changes); /* never less than before */
void news_tell_loaded(struct news *n, struct load *l);                       /* takes it over */
void news_tell_alarms(struct news *n, unsigned alarms);
void news_tell_tuning(struct news *n, const struct broker_tuning *t);
void news_tell_shutdown(struct news *n);
void news_ask(struct news *n);

/* The hub, when it has found the parcel: moves all there is to *items, whose array (empty by now, or NULL) is used
 * again.
 */
void news_take(struct news *n, struct news_items *items);
void news_items_fini(struct news_items *items); /* drops its loads */
#endif
