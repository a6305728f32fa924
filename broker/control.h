/* The administration as the configuration wants it: its socket, and what it may ask of the program. */
#ifndef BROKER_CONTROL_H
#define BROKER_CONTROL_H

#include <stdint.h>

struct config;
struct control;
struct keeper;
struct server;

/* Listens and serves, until the server ends it; NULL with *error NULL: it is switched off, or it cannot be and nobody
 * asked for it by name, which the log says.  NULL with *error: the caller frees that.  The limits are those that raise
 * the alarms.  Before server_run(). */
struct control *control_start(const struct config *c, struct server *s, struct keeper *keeper, uint64_t memory_limit,
                              uint64_t disk_limit, char **error);

/* After server_run() and before server_destroy(); NULL is allowed. */
void control_destroy(struct control *k);
#endif
