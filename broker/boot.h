/* What a broker begins with: before its first client, and after what it was (recovery.h).
 */
#ifndef BROKER_BOOT_H
#define BROKER_BOOT_H

#include <stdbool.h>

struct broker;
struct command;
struct config;
struct event;
struct keeper;

/* Definitions from the files that the configuration names (import.h); or, where it names none and there is no user yet,
 * the default virtual host, the default user, and its rights.  Everything is handed to the keeper before anything else
 * is.  has_vhosts: a virtual host was among what was recovered.  0, or the exit status after saying what is wrong: then
 * nothing was changed, but that there may be the default user. */
int boot_define(const struct config *c, struct broker *b, struct keeper *k, bool has_vhosts);

/* Has the broker carry out one command of a desk's, before there is a hub; takes over what the command owns, and hands
 * the records to the keeper (NULL: drops them).  *answer is the caller's, for event_drop(). */
void boot_ask(struct broker *b, struct keeper *k, struct command *c, struct event *answer);
#endif
