/* What the broker needs to know of, and have on, the machine that it runs on. */
#ifndef BROKER_HOST_H
#define BROKER_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of memory that this process may have: the machine's, or its control group's limit where that is less. */
uint64_t host_memory(void);

/* The limit of the control group (version 1 or 2) and those above it, the least of them; UINT64_MAX: there is none.
 * root: what stands before /proc and /sys, "" but in tests. */
uint64_t host_group_memory(const char *root);

/* Cores that this process may use at once: those that it may run on, or its control group's share of them, rounded up,
 * where that is less. */
unsigned host_cores(void);

/* The share, as host_group_memory() says the limit. */
uint64_t host_group_cores(const char *root);

/* "rabbit@" and the host's short name; the caller frees it. */
char *host_node_name(void);

/* Where data goes if nobody says: /var/lib/millrace if that can be written or made, or else the user's state folder.
 * The caller frees it; NULL: there is no such place. */
char *host_data_dir(void);

/* Makes the folder and its parents where they are missing, each of them that user's: for a user who could not do it.
 * 0, or an exit code after saying why on standard error. */
int host_make_dir_for(const char *path, uid_t uid, gid_t gid);

/* Whether the folder is the property of the user that the process is; if not, says so on standard error. */
bool host_owns_dir(const char *path);

/* Makes the folder (0700) and its parents (0750) where they are missing, and locks it against other brokers, for as
 * long as the process lives: an open file description's lock on the file "lock" in it, which says who has it.  0, or an
 * exit code (sysexits) after saying why on standard error. */
int host_claim_dir(const char *path);

/* As many open files as the process is allowed; answers how many. */
uint64_t host_raise_files(void);
#endif
