/* The administration as the configuration wants it: its socket, and what it may ask of the program. */
#ifndef BROKER_CONTROL_H
#define BROKER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct admin_limits;
struct control;
struct keeper;
struct login_rules;
struct server;
struct web;

/* What it needs; all borrowed. */
struct control_config {
    const struct config *config;
    struct server *server;
    struct keeper *keeper;
    struct web *web; /* bound */
    struct login_rules *login;
    uint64_t memory_limit, disk_limit; /* that raise the alarms */
};

/* Listens and serves, until the server ends it; NULL with *error NULL: all of it is switched off, or it cannot be and
 * nobody asked for it by name, which the log says.  NULL with *error: the caller frees that.  Before server_run(). */
struct control *control_start(const struct control_config *cc, char **error);

/* SIGHUP: reads certificates again.  NULL is allowed. */
void control_reread(struct control *k);

/* Limits that administrators have set take the place of the configured ones.  Any thread; NULL is allowed. */
void control_override(const struct control *k, uint64_t *memory, uint64_t *disk, bool *has_disk);

/* What lists show as limits from now on. */
void control_set_limits(struct control *k, const struct admin_limits *l); /* NULL is allowed */

/* Where the broker listens, the administration included: "amqp 127.0.0.1:5672, http 127.0.0.1:15672". */
const char *control_addresses(const struct control *k);

/* After server_run() and before server_destroy(); NULL is allowed. */
void control_destroy(struct control *k);
#endif
