#define _GNU_SOURCE
#include "broker/harden.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

/* ---- Memory. */

/* A leak checker looks into its own process, which must be dumpable for that. */
#if defined(__SANITIZE_ADDRESS__)
enum { IS_WATCHED = 1 };
#else
enum { IS_WATCHED = 0 };
#endif

/* Whether the process may be dumped, and looked into by others of the same user. */
static bool allows_cores(void)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
}

static void set_dumpable(bool is_dumpable)
{
    prctl(PR_SET_DUMPABLE, is_dumpable || IS_WATCHED ? 1 : 0, 0, 0, 0);
}

/* The soft limit alone says no: who wants cores after all must be able to raise it again. */
static void set_core_limit(bool is_allowed)
{
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) != 0)
        return;
    core.rlim_cur = is_allowed ? core.rlim_max : 0;
    setrlimit(RLIMIT_CORE, &core);
}

bool harden_start(void)
{
    umask(HARDEN_UMASK);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    set_core_limit(false);
    set_dumpable(false);
    return CRYPTO_secure_malloc_init(HARDEN_SECURE_BYTES, HARDEN_SECURE_PIECE) == 1;
}

void harden_allow_cores(void)
{
    set_core_limit(true);
    set_dumpable(true);
}

/* ---- Who it is. */

static bool find_user(const char *user, struct identity *id, char **error)
{
    errno = 0;
    const struct passwd *p = getpwnam(user); // NOLINT(concurrency-mt-unsafe): threads come later
    if (p == NULL) {
        *error = str_format("user: there is no '%s'%s%s", user, errno != 0 ? ": " : "",
                            errno != 0 ? strerrordesc_np(errno) : "");
        return false;
    }
    id->uid = p->pw_uid;
    id->gid = p->pw_gid;
    return true;
}

static bool find_group(const char *group, struct identity *id, char **error)
{
    errno = 0;
    const struct group *g = getgrnam(group); // NOLINT(concurrency-mt-unsafe): threads come later
    if (g == NULL) {
        *error = str_format("group: there is no '%s'%s%s", group, errno != 0 ? ": " : "",
                            errno != 0 ? strerrordesc_np(errno) : "");
        return false;
    }
    id->gid = g->gr_gid;
    return true;
}

bool harden_find(const char *user, const char *group, struct identity *id, char **error)
{
    *id = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (user == NULL && group == NULL)
        return true;
    if (user == NULL) {
        *error = str_format("group: says nothing without user");
        return false;
    }
    if (!find_user(user, id, error) || (group != NULL && !find_group(group, id, error)))
        return false;
    if (id->uid == geteuid() && id->gid == getegid())
        return true;
    if (geteuid() != 0) {
        *error = str_format("user: only root can become '%s', and this is user id %u", user, (unsigned)geteuid());
        return false;
    }
    if (id->uid == 0 || id->gid == 0) { /* with root's group, root's files would still be its own */
        *error = str_format("user, group: '%s' with group id %u is root still", user, (unsigned)id->gid);
        return false;
    }
    id->is_other = true;
    id->name = str_format("%s", user);
    return true;
}

void harden_forget(struct identity *id)
{
    free(id->name);
    id->name = NULL;
}

/* ---- Rights. */

static bool complain(char **error, const char *what)
{
    *error = str_format("cannot give up root's rights: %s: %s", what, strerrordesc_np(errno));
    return false;
}

/* No program that it runs may have them either; while it is root still. */
static void drop_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static long set_no_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none);
}

static bool has_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, now) != 0)
        return true;
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        if ((now[i].permitted | now[i].effective | now[i].inheritable) != 0)
            return true;
    return false;
}

static bool is_only(const struct identity *id)
{
    uid_t u[3];
    gid_t g[3];
    if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (u[i] != id->uid || g[i] != id->gid)
            return false;
    return true;
}

/* Tries the ways back. */
static bool can_return(void)
{
    const gid_t root = 0;
    return setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresuid(0, 0, 0) == 0 ||
           setresgid((gid_t)-1, 0, (gid_t)-1) == 0 || setresgid(0, 0, 0) == 0 || setgroups(1, &root) == 0;
}

static bool become(const struct identity *id, char **error)
{
    const bool is_dumpable = allows_cores(); /* the kernel forgets when the user changes */
    drop_bounding_set();
    if (initgroups(id->name, id->gid) != 0)
        return complain(error, "initgroups");
    if (setresgid(id->gid, id->gid, id->gid) != 0)
        return complain(error, "setresgid");
    if (setresuid(id->uid, id->uid, id->uid) != 0)
        return complain(error, "setresuid");
    set_dumpable(is_dumpable);
    return true;
}

bool harden_drop(const struct identity *id, char **error)
{
    if (id->is_other && !become(id, error))
        return false;
    if (geteuid() == 0 || (!id->is_other && !has_capabilities()))
        return true; /* there is nothing to give up, or it shall be kept */
    if (set_no_capabilities() != 0)
        return complain(error, "capset");
    if (id->is_other && !is_only(id)) {
        *error = str_format("cannot give up root's rights: some are left");
        return false;
    }
    if (has_capabilities() || can_return()) {
        *error = str_format("cannot give up root's rights: they can be had again");
        return false;
    }
    return true;
}
