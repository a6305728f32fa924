/* What the process gives up so that nobody gets anything by breaking it: rights, core dumps, secrets in memory
 * (reliability C27).  All of it before there are threads.
 *
 * The order at the start: harden_start(), the configuration, harden_find(), sockets that need root, harden_drop(), and
 * only then data.
 */
#ifndef BROKER_HARDEN_H
#define BROKER_HARDEN_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    HARDEN_UMASK = 0077,
    HARDEN_SECURE_BYTES = 1 << 20, /* for private keys, those of handshakes under way included */
    HARDEN_SECURE_PIECE = 32,
};

/* First of all: files are the owner's alone, nobody gains rights by running a program, nothing dumps core, and OpenSSL
 * has a place for keys that is neither swapped nor dumped.  False: that place cannot be locked (RLIMIT_MEMLOCK). */
bool harden_start(void);

/* Allows core dumps after all, as far as the limits that the process was started with go. */
void harden_allow_cores(void);

/* As whom the broker shall run. */
struct identity {
    bool is_other; /* than who it is now */
    char *name;    /* owned; NULL unless is_other */
    uid_t uid;
    gid_t gid;
};

/* Finds the user and the group by their names; both may be NULL: as it is, or the user's own.  False: *error says why,
 * and the caller frees it. */
bool harden_find(const char *user, const char *group, struct identity *id, char **error);
void harden_forget(struct identity *id);

/* Becomes that user for good, with that user's groups, and without any capability unless it stays root; then makes sure
 * that there is no way back.  False: *error says what failed, and the process had better end. */
bool harden_drop(const struct identity *id, char **error);
#endif
