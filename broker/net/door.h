/* Connections that have not opened yet: so many at most, and so many at most from one place (reliability C3).  One a
 * loop.  When there are too many, those go that have waited longest.
 *
 * A crowd that comes at once is not turned away: whoever has had less than DOOR_GRACE_MS stays, beyond the number for
 * one place, too.  The whole number always holds; where all of them are that young, newcomers wait (porch.h), unless
 * others have more than their share: then one of those goes.
 * UNIX sockets are a place without a number of its own: whoever the file's mode lets in is no stranger, and all of them
 * look alike.
 */
#ifndef BROKER_NET_DOOR_H
#define BROKER_NET_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "broker/net/address.h"

enum { DOOR_GUESTS_MAX = 1024, DOOR_GUESTS_PER_PLACE_MAX = 64, DOOR_GRACE_MS = 3000 };

struct guest {
    struct link at_door, at_place; /* in both, oldest first */
    struct place *place;           /* NULL: not at the door */
    uint64_t since_ms;
};

struct door {
    struct list guests;
    size_t count, max, max_per_place;
    struct map places; /* owned: by address group */
};

void door_init(struct door *d, size_t max, size_t max_per_place);
void door_fini(struct door *d); /* nobody may be there any more */

void guest_init(struct guest *g); /* not at the door */

void door_enter(struct door *d, struct guest *g, const struct address *from, uint64_t now_ms);
void door_leave(struct door *d, struct guest *g); /* it has opened, or gone; safe to call twice */

/* When the oldest has had its DOOR_GRACE_MS; UINT64_MAX: nobody is there. */
uint64_t door_ripe_at(const struct door *d);

/* Whether so many are there as may be. */
bool door_is_full(const struct door *d);

/* Who should leave a full door so that somebody from there can enter: whoever has waited longest, if that was
 * DOOR_GRACE_MS; otherwise the oldest from where most are, if those will still be as many.  NULL: the newcomer waits.
 */
struct guest *door_rival(const struct door *d, const struct address *from, uint64_t now_ms);

/* Who must leave now that newest is there, or NULL.  Ask again until it is. */
struct guest *door_overdue(const struct door *d, const struct guest *newest, uint64_t now_ms);
#endif
