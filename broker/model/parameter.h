/* Parameters: named values that administrators set, by virtual host and component (port/definition.h).  The limits of
 * virtual hosts are such, and policies (policy.h). */
#ifndef BROKER_MODEL_PARAMETER_H
#define BROKER_MODEL_PARAMETER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/map.h"

struct broker;
struct policy;
struct spec;
struct vhost;

struct parameter {
    struct map_node in_broker;
    struct spec *spec;     /* owned: as it was defined */
    struct policy *policy; /* shared: which it is; NULL: none */
};

struct parameter *parameter_find(const struct broker *b, struct bytes vhost, struct bytes component, struct bytes name);

/* NULL, or why there can be no such one; on the heap. */
char *parameter_refuse(const struct spec *spec);

/* It is so from now on.  True: that changes something. */
bool parameter_put(struct broker *b, const struct spec *spec);
void parameter_remove(struct broker *b, struct parameter *p);
void parameter_remove_vhost(struct broker *b, struct bytes vhost); /* all of it */
void parameter_free(struct broker *b, struct parameter *p);        /* and nothing else */

/* Reads the limits that were set for a virtual host. */
void parameter_apply_limits(struct broker *b, struct vhost *v);

/* The queue goes that was paused. */
void parameter_forget_pause(struct broker *b, struct bytes vhost, struct bytes queue);
#endif
