/* Connections that have not opened yet: so many at most, and so many at most from one place (reliability C3).  One a
 * loop.  When there are too many, those go that have waited longest.
 *
 * A crowd that comes at once is not turned away: beyond the number for one place go only those that have had
 * DOOR_GRACE_MS.  The whole number always holds; but as long as even the oldest has been there for less than
 * DOOR_CROWD_MS, it is better to let newcomers wait outside.
 */
#ifndef BROKER_NET_DOOR_H
#define BROKER_NET_DOOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "broker/net/address.h"

enum { DOOR_GUESTS_MAX = 1024, DOOR_GUESTS_PER_PLACE_MAX = 64, DOOR_GRACE_MS = 3000, DOOR_CROWD_MS = 1000 };

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

/* Until when newcomers had better wait, if nobody leaves; 0: they need not. */
uint64_t door_crowded_until(const struct door *d);

/* Who must leave now that newest is there, or NULL.  Ask again until it is. */
struct guest *door_overdue(const struct door *d, const struct guest *newest, uint64_t now_ms);
#endif
