#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <grp.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/harden.h"

/* Everything here is for good, so each attempt has a process of its own; its exit status is the answer. */
static int in_child(int (*attempt)(void))
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(attempt());
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In a child: says which promise was broken, and ends with 1. */
#define NEED(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "# line %d: %s\n", __LINE__, #condition);                                                  \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

/* The words of a line of /proc/self/status. */
static bool status_says(const char *key, const char *expect)
{
    char line[512];
    bool is_so = false;
    FILE *f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        size_t n = strlen(key);
        if (strncmp(line, key, n) != 0 || line[n] != ':')
            continue;
        char *value = line + n + 1 + strspn(line + n + 1, " \t");
        value[strcspn(value, "\n")] = '\0';
        for (size_t len = strlen(value); len > 0 && value[len - 1] == ' '; len--)
            value[len - 1] = '\0';
        is_so = strcmp(value, expect) == 0;
        if (!is_so)
            fprintf(stderr, "# %s is %s\n", key, value);
    }
    if (f != NULL)
        fclose(f);
    return is_so;
}

static int start_hardened(void)
{
    struct rlimit core;
    struct stat st;
    char path[] = "/tmp/test_harden-XXXXXX";
    harden_start();
    NEED(umask(0) == HARDEN_UMASK);
    umask(HARDEN_UMASK);
    NEED(mkdtemp(path) != NULL && stat(path, &st) == 0 && rmdir(path) == 0);
    NEED((st.st_mode & 077) == 0);
    NEED(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0);
    NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
#if !defined(__SANITIZE_ADDRESS__)
    NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
    void *key = OPENSSL_secure_malloc(100);
    NEED(CRYPTO_secure_malloc_initialized() && CRYPTO_secure_allocated(key));
    OPENSSL_secure_free(key);
    return 0;
}

TEST(a_start_gives_up_cores_and_privileges)
{
    assert_int_equal(in_child(start_hardened), 0);
}

static int allow_cores(void)
{
    struct rlimit core, before;
    NEED(getrlimit(RLIMIT_CORE, &before) == 0);
    harden_start();
    harden_allow_cores();
    NEED(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == before.rlim_max);
    NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
    return 0;
}

TEST(cores_may_be_asked_for)
{
    assert_int_equal(in_child(allow_cores), 0);
}

static void assert_not_found(const char *user, const char *group, const char *expect)
{
    struct identity id;
    char *error = NULL;
    assert_false(harden_find(user, group, &id, &error));
    assert_non_null(strstr(error, expect));
    free(error);
    harden_forget(&id);
}

TEST(who_is_not_there_is_not_found)
{
    assert_not_found("no such user", NULL, "user: there is no 'no such user'");
    assert_not_found("nobody", "no such group", "group: there is no 'no such group'");
    assert_not_found(NULL, "nogroup", "group: says nothing without user");
}

TEST(nobody_named_is_who_it_is)
{
    struct identity id;
    char *error = NULL;
    assert_true(harden_find(NULL, NULL, &id, &error));
    assert_false(id.is_other);
    const struct passwd *self = getpwuid(geteuid());
    if (self == NULL || self->pw_gid != getegid())
        return; /* a user without a name */
    assert_true(harden_find(self->pw_name, NULL, &id, &error));
    assert_false(id.is_other);
    harden_forget(&id);
}

static int become_nobody(void)
{
    struct identity id;
    char *error = NULL, uids[64], gids[64];
    harden_start();
    NEED(harden_find("nobody", NULL, &id, &error) && id.is_other);
    if (!harden_drop(&id, &error)) {
        fprintf(stderr, "# %s\n", error);
        return 1;
    }
    const unsigned u = id.uid, g = id.gid;
    snprintf(uids, sizeof uids, "%u\t%u\t%u\t%u", u, u, u, u);
    snprintf(gids, sizeof gids, "%u\t%u\t%u\t%u", g, g, g, g);
    NEED(status_says("Uid", uids));
    NEED(status_says("Gid", gids));
    snprintf(gids, sizeof gids, "%u", g);
    NEED(status_says("Groups", gids));
    NEED(status_says("CapInh", "0000000000000000"));
    NEED(status_says("CapPrm", "0000000000000000"));
    NEED(status_says("CapEff", "0000000000000000"));
    NEED(status_says("CapBnd", "0000000000000000"));
    NEED(status_says("CapAmb", "0000000000000000"));
#if !defined(__SANITIZE_ADDRESS__)
    NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
    NEED(setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0 && setgroups(0, NULL) != 0);
    NEED(harden_find("nobody", NULL, &id, &error) && !id.is_other); /* it is that already */
    NEED(!harden_find("root", NULL, &id, &error) && strstr(error, "only root can become") != NULL);
    return 0;
}

static int keep_cores(void)
{
    struct identity id;
    char *error = NULL;
    harden_start();
    harden_allow_cores();
    NEED(harden_find("nobody", NULL, &id, &error) && harden_drop(&id, &error));
    NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
    return 0;
}

/* Somebody who keeps a way back: harden_drop() must see it. */
static int find_the_way_back(void)
{
    struct identity id;
    char *error = NULL;
    NEED(harden_find("nobody", NULL, &id, &error));
    NEED(setresuid(id.uid, id.uid, 0) == 0); /* root is saved */
    id.is_other = false;
    NEED(!harden_drop(&id, &error));
    NEED(strstr(error, "can be had again") != NULL);
    return 0;
}

TEST(root_becomes_nobody_for_good)
{
    if (geteuid() != 0)
        return; /* only root can */
    assert_int_equal(in_child(become_nobody), 0);
    assert_int_equal(in_child(keep_cores), 0);
}

TEST(a_way_back_is_found)
{
    if (geteuid() != 0)
        return;
    assert_int_equal(in_child(find_the_way_back), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_gives_up_cores_and_privileges), cmocka_unit_test(cores_may_be_asked_for),
        cmocka_unit_test(who_is_not_there_is_not_found),         cmocka_unit_test(nobody_named_is_who_it_is),
        cmocka_unit_test(root_becomes_nobody_for_good),          cmocka_unit_test(a_way_back_is_found),
    };
    return unit_main("harden", tests, argc, argv);
}
