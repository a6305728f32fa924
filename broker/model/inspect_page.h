/* A page of a list that is being filled (inspect.c), and its rows: what the inspect_….c share. */
#ifndef BROKER_MODEL_INSPECT_PAGE_H
#define BROKER_MODEL_INSPECT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/port/inspection.h"
#include "codec/cursor.h"

struct broker;
struct counted;
struct map_node;
struct outlet;
struct queue;
struct vhost;

enum {
    ROW_ROOM = 4096,         /* of keys, numbers and flags; names and arguments come on top */
    BUCKETS_PER_PAGE = 4096, /* looked at, if few of them have what is asked for */
};

/* In a cursor: what it names was not told to its end, and inspection.skip says how far. */
#define CURSOR_IS_WITHIN (UINT64_C(1) << 63)

struct page {
    struct broker *b;
    struct inspection *to;
    struct vhost *vhost; /* the one that was named, or NULL */
    uint32_t index;      /* CONSUMERS: how many of this bucket were looked at … */
    bool is_cut;         /* … and the page was full before the last */
};

/* A row with ROW_ROOM and that much more. */
struct pen row_open(const struct page *p, size_t room);
void row_close(const struct page *p, const struct pen *row);

void row_put_table(struct pen *row, const char *key, struct bytes table);
void row_put_text(struct pen *row, const char *key, struct bytes text);
void row_put_number(struct pen *row, const char *key, uint64_t n);
void row_put_flag(struct pen *row, const char *key, bool is_set);

/* Those that are not 0, by their names. */
void row_put_counters(struct pen *row, const uint64_t *counts);

/* The column `statistics`, if there is anything. */
void row_put_statistics(const struct page *p, struct pen *row, struct counted *c);

/* How it is in a queue now; and the room that its names take. */
void row_put_gauges(const struct page *p, struct pen *row, struct queue *q);
size_t row_gauges_room(const struct queue *q);

/* Does it have as many rows as it may, or as many bytes? */
static inline bool page_is_full(const struct page *p)
{
    size_t rows = p->to->is_brief ? INSPECTION_BRIEF_ROWS_MAX : INSPECTION_ROWS_MAX;
    return p->to->n >= rows || p->to->size >= INSPECTION_BYTES_MAX;
}

/* Is that the name that was asked for, if one was? */
bool page_wants(const struct page *p, struct bytes name);

struct bytes connection_name(const struct outlet *o);

/* One row of each, for map_scan(); arg is the page. */
void inspect_vhost(void *arg, struct map_node *n);
void inspect_user(void *arg, struct map_node *n);
void inspect_access(void *arg, struct map_node *n);
void inspect_access_of_user(void *arg, struct map_node *n); /* arg names the user, n is a virtual host */
void inspect_topic_access(void *arg, struct map_node *n);
void inspect_parameter(void *arg, struct map_node *n);
void inspect_exchange(void *arg, struct map_node *n);
void inspect_queue(void *arg, struct map_node *n);
void inspect_queue_briefly(void *arg, struct map_node *n);
void inspect_binding(void *arg, struct map_node *n);
void inspect_consumers(void *arg, struct map_node *n); /* of that queue */

/* Connections, or channels. */
void inspect_outlets(const struct page *p);
void inspect_totals(const struct page *p);
void inspect_unacked(const struct page *p);
#endif
