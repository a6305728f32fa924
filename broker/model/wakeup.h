/* Something to be done at a time: on the broker's heap of them (model/state.h). */
#ifndef BROKER_MODEL_WAKEUP_H
#define BROKER_MODEL_WAKEUP_H

#include <stdint.h>

#include "base/heap.h"

struct broker;

struct wakeup {
    struct heap_node node;
    void (*fire)(struct broker *b, struct wakeup *t);
};

/* Sets or moves a wake-up; UINT64_MAX takes it off. */
void wakeup_set(struct broker *b, struct wakeup *t, uint64_t at_ms);
void wakeup_init(struct wakeup *t, void (*fire)(struct broker *b, struct wakeup *t));
#endif
