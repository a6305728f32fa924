/* Every file of a store from its first byte to its last, item by item, without the store: what is really there, whether
 * anybody wants it or not.  For what it means, ask the store itself (view.h). */
#ifndef BROKER_TOOL_WALK_H
#define BROKER_TOOL_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/disk.h"
#include "broker/store/format.h"

enum walk_kind { WALK_JOURNAL, WALK_PACK, WALK_CHECKPOINT, WALK_SPARE, WALK_FOREIGN };

struct walk_file {
    char *name; /* owned by the walk */
    uint64_t size;
    enum walk_kind kind; /* as its name says */
    enum header_verdict verdict;
    bool is_unwritten;         /* a spare that got its name and nothing else */
    bool is_unreadable;        /* the disk answers errors */
    struct file_header header; /* if the verdict is HEADER_FINE; of a damaged one its epoch, if it can be told */

    /* When it ends. */
    uint64_t items, damaged; /* of which so many */
    uint64_t end;            /* offset behind the last */
    uint64_t last_lsn;
    uint8_t last_type;
    bool is_torn; /* something begins behind the end, and is not whole */
};

/* Who is told, in order of names and offsets.  Any may be NULL. */
struct walk_witness {
    void *arg;
    void (*begin)(void *arg, const struct walk_file *f);
    /* ITEM_FINE, ITEM_BAD_META or ITEM_BAD_BODY. */
    void (*item)(void *arg, const struct walk_file *f, uint64_t offset, const struct item *item, enum item_verdict v);
    /* So many bytes from there on are no items, and there are more behind them; bytes 0: the numbers have a gap. */
    void (*damage)(void *arg, const struct walk_file *f, uint64_t offset, uint64_t bytes, const char *reason);
    void (*end)(void *arg, const struct walk_file *f);
};

/* 0, or -errno: the folder cannot be listed. */
int walk_all(struct disk *d, const struct walk_witness *w);
#endif
