/* Bookmarks: how far a consumer of a stream has read, by its tag, kept by the broker for one who asks for it with
 * x-stream-automatic-offset-tracking (reference queue-features 7.3; without that argument nobody's offset is kept).
 *
 * A consumer of the same tag goes on behind the last message that was settled with nothing before it still out.  That
 * is recorded when the consumer ends, and once a while before: after a crash some messages may come again, none is
 * missed.
 */
#ifndef BROKER_MODEL_BOOKMARK_H
#define BROKER_MODEL_BOOKMARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"

struct broker;
struct queue;
struct replay;

enum {
    BOOKMARK_MS = 1000,   /* between two records of one stream's */
    BOOKMARKS_MAX = 1024, /* of one stream; the one that was not used for longest goes, if nobody uses it */
};

struct bookmark {
    struct link in_log; /* on log->bookmarks, the one that was used last at the end */
    uint64_t next;      /* the offset to go on from */
    uint64_t recorded;  /* … as it was recorded; BOOKMARK_NEVER: it was not */
    unsigned readers;   /* who use it now */
    uint8_t tag_len;
    uint8_t tag[];
};

#define BOOKMARK_NEVER UINT64_MAX

/* Does a consumer with these arguments want one?  *wrong: what is wrong with the argument, on the heap; NULL: nothing.
 */
bool bookmark_is_wanted(struct bytes arguments, char **wrong);

/* The one of that tag, made if need be, with `next` as it was (or what the replay begins with): it is the replay's. */
void bookmark_open(struct broker *b, struct replay *r, struct bytes tag);

/* The replay ends; what it has settled by then counts. */
void bookmark_close(struct broker *b, struct replay *r);

/* One of its messages was settled. */
void bookmark_settled(struct broker *b, struct replay *r, uint64_t offset);

/* Records those that have moved: when the log's timer says so. */
void bookmark_save_all(struct broker *b, struct queue *q);

/* The queue is about to be deleted: their definitions go.  And their memory. */
void bookmark_forget_all(struct broker *b, struct queue *q);
void bookmark_free_all(struct queue *q);

/* Before the first step. */
bool bookmark_restore(struct broker *b, uint64_t queue, struct bytes key, struct bytes value);
#endif
