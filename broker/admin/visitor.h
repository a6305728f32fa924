/* Who asks over the network: a user with tags, who sees the virtual hosts that it has permissions on, or all of them
 * (reference operations 1.3).  Over the UNIX socket nobody is asked, and there is no visitor: that is the machine's
 * administrator, who may do everything.
 */
#ifndef BROKER_ADMIN_VISITOR_H
#define BROKER_ADMIN_VISITOR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"

struct visitor {
    struct bytes name; /* in data */
    unsigned tags;     /* 1 << enum tag (api.h), with those that a tag includes */
    json_t *tag_list;  /* owned: as the user has them */
    json_t *rights;    /* owned: its rows of INSPECT_PERMISSIONS */
    uint8_t data[];
};

/* May it list what is in that virtual host?  NULL: yes. */
bool visitor_sees(const struct visitor *v, struct bytes vhost);

/* Does it have permissions on it at all, which administrators need too to touch what is in it?  NULL: yes. */
bool visitor_may_enter(const struct visitor *v, struct bytes vhost);

/* May it see a connection or channel of that user?  NULL: yes. */
bool visitor_owns(const struct visitor *v, struct bytes user);

bool visitor_is(const struct visitor *v, unsigned tag); /* has that enum tag; NULL: yes */

void visitor_destroy(struct visitor *v); /* NULL is allowed */
#endif
