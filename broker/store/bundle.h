/* Sheaves on their way from the hub to the journal thread and back: full of records there, and home again with the
 * messages, which are best freed by the thread that made them, and with the room.
 */
#ifndef BROKER_STORE_BUNDLE_H
#define BROKER_STORE_BUNDLE_H

#include <pthread.h>
#include <stdint.h>

#include "base/lane.h"
#include "broker/port/record.h"

enum {
    BUNDLES_SPARE = 32,           /* that are kept for use, of each kind below … */
    BUNDLE_RECORDS_SPARE = 65536, /* … unless they have room for more than this */
};

struct bundle {
    struct parcel parcel; /* kind is 0 */
    struct sheaf sheaf;   /* owned */
    uint64_t posted_us;
};

struct bundles {
    /* The hub's. */
    struct parcel *spare; /* owned: empty ones */
    unsigned spares;

    /* The journal thread's. */
    struct parcel *shells; /* owned: those whose sheaves somebody else has, or has dropped */
    unsigned n_shells;

    /* Under lock. */
    pthread_mutex_t lock;
    struct parcel *used; /* owned: on their way back, with what they hold */
    unsigned n_used;
};

void bundles_init(struct bundles *b);
void bundles_fini(struct bundles *b);
void bundles_destroy(struct parcel *first); /* a list of them */

static inline struct bundle *bundle_of(struct parcel *p)
{
    return (struct bundle *)(void *)p;
}

/* Lets go of what came back, and answers an empty one, the caller's.  On the hub's thread. */
struct bundle *bundles_take(struct bundles *b);

/* On the journal thread: somebody else has the sheaf now, and the rest is kept for one that goes home. */
void bundles_keep_shell(struct bundles *b, struct bundle *shell);

/* Likewise: sends a sheaf home, with what is in it; drops it, if there is no shell for it or enough are under way. */
void bundles_send_home(struct bundles *b, struct sheaf *sheaf);

/* Nobody at home has asked for them for a while, and their messages take memory.  On the journal thread. */
void bundles_drop_used(struct bundles *b);
#endif
