/* What every new virtual host gets by the configuration: default_limits.vhosts.* and default_policies.operator.*
 * (reference queue-features 8.4). */
#ifndef BROKER_DEFAULTS_H
#define BROKER_DEFAULTS_H

struct broker;
struct config;

enum { DEFAULTS_MAX = 1000 }; /* limits and policies by name */

/* Tells the broker, before its first step.  0, or an exit status, and then it has said what is wrong. */
int defaults_load(const struct config *c, struct broker *b);
#endif
