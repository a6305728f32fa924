/* Strangers for whom there is no room at the door yet.  They have been accepted, and that is all: no session, no
 * buffer, nothing is read.  They come in in the order in which they came, or are sent away when their time is up.
 *
 * It is there so that a crowd from few places cannot keep others out: who waits in the system's own queue waits behind
 * everybody, whoever they are; who was accepted is known by address, and a door lets newcomers from elsewhere go first
 * (door_rival).  On its loop's thread.
 */
#ifndef BROKER_NET_PORCH_H
#define BROKER_NET_PORCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "broker/net/loop.h"

enum { PORCH_MAX = 4096 }; /* of all loops together; beyond that nobody is accepted */

struct porch {
    struct list waiting; /* oldest first */
    size_t count;
};

void porch_init(struct porch *p);
void porch_fini(struct porch *p); /* nobody may be there any more */

/* Copies the stranger and owns what it owns. */
void porch_add(struct porch *p, const struct stranger *s);

/* The first of them; NULL: there is none. */
const struct stranger *porch_first(const struct porch *p);

/* Takes the first out, to be seated or sent away. */
struct stranger porch_take(struct porch *p);
#endif
