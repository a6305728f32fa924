/* Users: what a login is judged by, and what one user may have (reference queue-features 12.1, 8.5).  What a user may
 * do in a virtual host is access.h. */
#ifndef BROKER_MODEL_USER_H
#define BROKER_MODEL_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/model/pace.h"

struct broker;
struct spec;

#define LIMIT_NONE UINT64_MAX

struct user {
    struct map_node in_broker;
    struct spec *spec;                      /* owned: as it was defined (port/definition.h) */
    struct bytes name;                      /* in spec */
    uint64_t serial;                        /* another one when its password changes; of all users, never used again */
    bool impersonates;                      /* may publish in other users' names */
    uint64_t connections_max, channels_max; /* LIMIT_NONE */
    uint64_t connections;
    struct pace pace;     /* max-publish-rate, max-publish-bytes-rate */
    struct list accesses; /* struct access: in_user */
    struct list topics;   /* struct topic_access */
};

struct user *user_find(const struct broker *b, struct bytes name);

/* NULL, or why there can be no such user; on the heap. */
char *user_refuse(const struct spec *spec);

/* There is such a user from now on, or it is so from now on.  True: that changes something. */
bool user_put(struct broker *b, const struct spec *spec);

/* Takes its connections, its rights and itself away. */
void user_remove(struct broker *b, struct user *u);
void user_free(struct broker *b, struct user *u); /* and nothing else */

/* The machine's administrator, in no list; made if need be. */
struct user *user_of_machine(struct broker *b);
void user_forget_machine(struct broker *b);

/* The number of that key in a table; LIMIT_NONE: there is none, or it is negative. */
uint64_t limit_read(struct bytes table, const char *key);
#endif
