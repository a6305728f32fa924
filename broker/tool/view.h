/* A store as its broker would find it: opened read-only, with all that the store says of what is lost. */
#ifndef BROKER_TOOL_VIEW_H
#define BROKER_TOOL_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/store/store.h"
#include "broker/tool/folder.h"

struct view_queue {
    uint64_t id;
    json_t *vhost, *name;             /* owned */
    struct bytes raw_vhost, raw_name; /* in the store */
    uint64_t messages, bytes, next_position;
    uint64_t fine, lost; /* read, and not to be read; as far as anybody has looked */
};

struct view {
    struct store *store;       /* owned */
    struct view_queue *queues; /* owned, in the order in which they were made */
    size_t n_queues, queue_room, found_last;
    json_t *losses;         /* owned: an array of objects */
    json_t *notes;          /* owned: an array of strings; warnings */
    uint64_t lost_messages; /* at least */
};

/* 0, or an exit code after saying why on standard error; the view is empty then. */
int view_open(struct view *v, struct disk *disk, const char *path);
void view_close(struct view *v);

struct view_queue *view_find(struct view *v, uint64_t id); /* NULL: there is none */

/* Reads all messages of a queue in order, and counts. */
struct load_entry;
typedef void view_message_fn(void *arg, const struct view_queue *q, const struct load_entry *e);
void view_read_queue(struct view *v, struct view_queue *q, view_message_fn *each, void *arg);
#endif
