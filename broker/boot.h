/* What a broker begins with: before its first client, and after what it was (recovery.h). */
#ifndef BROKER_BOOT_H
#define BROKER_BOOT_H

struct broker;
struct config;
struct keeper;

/* On a data folder where there is no user yet: the default virtual host, the default user, and its rights.  Everything
 * is handed to the keeper before anything else is.  0, or the exit status after saying what is wrong. */
int boot_define(const struct config *c, struct broker *b, struct keeper *k);
#endif
