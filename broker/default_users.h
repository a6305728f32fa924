/* Users that come with virtual hosts by the configuration: default_users.NAME.*; who is there already stays as he is,
 * and gets his rights in the new one.
 */
#ifndef BROKER_DEFAULT_USERS_H
#define BROKER_DEFAULT_USERS_H

struct broker;
struct config;

enum { DEFAULT_USERS_MAX = 1000 };

/* Tells the broker, before its first step.  0, or an exit status, and then it has said what is wrong. */
int default_users_load(const struct config *c, struct broker *b);
#endif
