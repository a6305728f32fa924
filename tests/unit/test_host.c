#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/host.h"

static char root[] = "/tmp/test_host-XXXXXX";

/* Writes a file below root, and makes the folders that it needs. */
static void put(const char *path, const char *text)
{
    char *whole = str_format("%s/%s", root, path);
    for (char *slash = strchr(whole + sizeof root, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *f = fopen(whole, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(whole);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/test_host-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char *command = str_format("rm -rf %s", root);
    int status = system(command);
    free(command);
    return status;
}

TEST(without_control_groups_there_is_no_limit)
{
    assert_int_equal(host_group_memory(root), UINT64_MAX);
}

TEST(the_least_limit_of_a_version_2_group_and_those_above_it_counts)
{
    put("proc/self/cgroup", "0::/a/b/c\n");
    put("sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put("sys/fs/cgroup/a/b/memory.max", "3000000000\n");
    put("sys/fs/cgroup/a/memory.max", "2000000000\n");
    assert_int_equal(host_group_memory(root), 2000000000);
}

TEST(a_container_sees_its_group_as_the_root)
{
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/memory.max", "123456789\n");
    assert_int_equal(host_group_memory(root), 123456789);
}

TEST(version_1_has_a_hierarchy_for_memory)
{
    put("proc/self/cgroup", "12:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/x\n");
    put("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "500000000\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(host_group_memory(root), 500000000);
}

TEST(which_a_container_may_not_see_but_at_its_root)
{
    put("proc/self/cgroup", "4:hugetlb,memory:/docker/abc\n0::/docker/abc\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "400000000\n");
    assert_int_equal(host_group_memory(root), 400000000);
}

TEST(without_control_groups_there_is_no_share_of_cores)
{
    assert_int_equal(host_group_cores(root), UINT64_MAX);
    assert_in_range(host_cores(), 1, 65536);
}

TEST(a_share_of_cores_is_rounded_up_and_the_least_one_counts)
{
    put("proc/self/cgroup", "0::/a/b/c\n");
    put("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
    put("sys/fs/cgroup/a/cpu.max", "400000 100000\n");
    assert_int_equal(host_group_cores(root), 2);
}

TEST(version_1_says_the_share_in_two_files)
{
    put("proc/self/cgroup", "12:cpu,cpuacct:/x\n4:memory:/docker/abc\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(host_group_cores(root), 1);
}

/* Claims root/data in a process of its own; answers the status, or -1. */
static int claim_elsewhere(const char *folder)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        _exit(host_claim_dir(folder));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(a_folder_has_one_owner_and_nobody_else_sees_into_it)
{
    char *folder = str_format("%s/x/data", root), *lock = str_format("%s/lock", folder);
    char who[64] = "";
    struct stat s;
    assert_int_equal(claim_elsewhere(folder), 0); /* and gives it back by ending */
    assert_int_equal(host_claim_dir(folder), 0);
    assert_int_equal(claim_elsewhere(folder), EX_UNAVAILABLE);
    assert_int_equal(stat(folder, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0700);
    FILE *f = fopen(lock, "re");
    assert_non_null(f);
    assert_non_null(fgets(who, sizeof who, f));
    assert_int_equal(strtol(who, NULL, 10), getpid());
    fclose(f);
    free(lock);
    free(folder);
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_ROOT(without_control_groups_there_is_no_limit),
        IN_ROOT(the_least_limit_of_a_version_2_group_and_those_above_it_counts),
        IN_ROOT(a_container_sees_its_group_as_the_root),
        IN_ROOT(version_1_has_a_hierarchy_for_memory),
        IN_ROOT(which_a_container_may_not_see_but_at_its_root),
        IN_ROOT(without_control_groups_there_is_no_share_of_cores),
        IN_ROOT(a_share_of_cores_is_rounded_up_and_the_least_one_counts),
        IN_ROOT(version_1_says_the_share_in_two_files),
        IN_ROOT(a_folder_has_one_owner_and_nobody_else_sees_into_it),
    };
    return unit_main("host", tests, argc, argv);
}
