/* What was asked for with RECORD_LOAD: messages of a queue that were not in memory, by position. */
#ifndef BROKER_PORT_LOAD_H
#define BROKER_PORT_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message;

struct load_entry {
    struct message *msg; /* a reference */
    uint64_t position;
    uint64_t ttl_ms;     /* as it was recorded; PLACE_NO_TTL: none … */
    uint64_t written_ms; /* … and when, by the wall clock */
    uint16_t deliveries; /* how often it has been given back; 1 more if that cannot be known */
    bool redelivered;    /* it was out before, or that cannot be known */
    bool persistent;
};

struct load {
    uint64_t queue, reader;    /* as they were asked for */
    uint64_t next;             /* everything before this position has been looked at */
    bool is_end;               /* as of the request there was no more; what came since may be in it */
    uint64_t lost, lost_bytes; /* messages that could not be read, and their bodies' bytes: they are gone */
    uint32_t n, capacity;
    struct load_entry entries[];
};

struct load *load_create(uint32_t capacity);
void load_destroy(struct load *l); /* drops what is in it; NULL is allowed */
#endif
