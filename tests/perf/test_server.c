/* What /proc says about a process that a test knows well: children of its own. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/perf/server.h"

enum { BURN_NS = 30000000, THREAD_BURN_NS = 10000000, BLOCK = 16 << 20 };
#define PATIENCE_NS 30000000000U

static uint64_t clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void burn(clockid_t clock, uint64_t ns)
{
    for (uint64_t until = clock_of(clock) + ns; clock_of(clock) < until;)
        for (volatile unsigned i = 0; i < 1000; i++) {
        }
}

/* A child with pipes both ways: it says a byte when it has done what it was to do, and does the next when it is told.
 */
struct child {
    pid_t pid;
    int say, hear;
};

static void tell(int fd)
{
    assert_int_equal(write(fd, "", 1), 1);
}

static void await(int fd)
{
    char c;
    if (read(fd, &c, 1) != 1)
        _exit(1);
}

static struct child start(void (*life)(int hear, int say))
{
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(down[1]);
        life(down[0], up[1]);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    return (struct child){.pid = pid, .say = down[1], .hear = up[0]};
}

static void end(struct child *c)
{
    close(c->say);
    waitpid(c->pid, NULL, 0);
    close(c->hear);
}

/* ---- Lives */

static void burn_and_wait(int hear, int say)
{
    burn(CLOCK_PROCESS_CPUTIME_ID, BURN_NS);
    tell(say);
    await(hear);
}

static void *burn_as_named(void *name)
{
    pthread_setname_np(pthread_self(), name);
    burn(CLOCK_THREAD_CPUTIME_ID, THREAD_BURN_NS);
    tell(*(int *)((char *)name + 16));
    pause();
    return NULL;
}

struct named {
    char name[16];
    int say;
};

static void burn_in_threads(int hear, int say)
{
    static struct named names[] = {{"pool-1", 0}, {"pool-23", 0}, {"9_lives", 0}, {"(a) b", 0}};
    pthread_t t;
    await(hear);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        names[i].say = say;
        pthread_create(&t, NULL, burn_as_named, &names[i]);
    }
    await(hear);
}

static void *burn_and_end(void *unused)
{
    burn(CLOCK_THREAD_CPUTIME_ID, BURN_NS);
    return unused;
}

static void burn_in_a_thread_that_ends(int hear, int say)
{
    pthread_t t;
    pthread_create(&t, NULL, burn_and_end, NULL);
    pthread_join(t, NULL);
    tell(say);
    await(hear);
}

static void have_a_grandchild(int hear, int say)
{
    int down[2];
    if (pipe(down) != 0)
        _exit(1);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "a) (b");
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            burn_and_wait(down[0], say);
            _exit(0);
        }
        await(down[0]);
        _exit(0);
    }
    await(hear);
    close(down[1]);
}

static void use_memory(int hear, int say)
{
    for (unsigned i = 0;; i++) {
        char *block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        tell(say);
        await(hear);
        munmap(block, BLOCK);
        tell(say);
        await(hear);
    }
}

static void allow_few_files(int hear, int say)
{
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 123, .rlim_max = 456});
    tell(say);
    await(hear);
}

/* Looks until that much has been counted, by that many threads: the kernel adds up what a thread has used when it
 * sleeps or at its next tick, and a thread that was joined is still there for a moment. */
static bool look_for(const struct perf_server *s, uint64_t cpu_ns, unsigned threads, struct perf_usage *u)
{
    for (uint64_t until = clock_of(CLOCK_MONOTONIC) + PATIENCE_NS; clock_of(CLOCK_MONOTONIC) < until; sched_yield())
        if (!perf_server_look(s, u) || (u->cpu_ns >= cpu_ns && u->threads_count == threads))
            break;
    return u->cpu_ns >= cpu_ns && u->threads_count == threads;
}

/* ---- Tests */

TEST(a_process_that_is_not_there_is_not_found)
{
    struct perf_server s;
    struct child c = start(burn_and_wait);
    end(&c);
    assert_int_equal(perf_server_find(&s, c.pid), -ESRCH);
    assert_int_equal(perf_server_find(&s, 0), -ESRCH);
    assert_int_equal(perf_server_find(&s, -1), -ESRCH);
}

TEST(processor_time_is_what_was_burnt)
{
    struct perf_server s;
    struct perf_usage u, again;
    struct child c = start(burn_and_wait);
    await(c.hear);
    assert_int_equal(perf_server_find(&s, c.pid), 0);
    assert_true(look_for(&s, BURN_NS, 1, &u));
    assert_true(u.user_ns + u.kernel_ns > 0 && u.user_ns + u.kernel_ns <= u.cpu_ns + 20000000); /* ticks */
    assert_int_equal(u.threads[0].id, c.pid);
    assert_true(u.threads[0].cpu_ns > 0 && u.threads[0].cpu_ns <= u.cpu_ns);
    assert_true(perf_server_glance(&s, &again));
    assert_int_equal(again.threads_count, 0);
    assert_true(again.cpu_ns >= u.cpu_ns);
    end(&c);
    assert_false(perf_server_look(&s, &u));
    assert_int_equal(u.cpu_ns, 0);
    assert_int_equal(u.rss, 0);
}

TEST(a_thread_that_has_ended_is_not_forgotten)
{
    struct perf_server s;
    struct perf_usage u;
    struct child c = start(burn_in_a_thread_that_ends);
    await(c.hear);
    assert_int_equal(perf_server_find(&s, c.pid), 0);
    assert_true(look_for(&s, BURN_NS, 1, &u));
    end(&c);
}

static const struct perf_busy *busy_find(const struct perf_busy *all, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    fail_msg("no thread %s", name);
    abort();
}

TEST(threads_of_one_pool_count_together)
{
    struct perf_server s;
    struct perf_usage from, to;
    struct perf_busy busy[PERF_THREADS_MAX];
    struct child c = start(burn_in_threads);
    assert_int_equal(perf_server_find(&s, c.pid), 0);
    assert_true(perf_server_look(&s, &from));
    tell(c.say);
    for (unsigned i = 0; i < 4; i++)
        await(c.hear);
    assert_true(look_for(&s, from.cpu_ns + 4 * THREAD_BURN_NS, 5, &to));
    unsigned n = perf_busy_since(&from, &to, busy);
    assert_in_range(n, 3, 4); /* the main thread may have used nothing worth counting */
    const struct perf_busy *pool = busy_find(busy, n, "pool-#");
    assert_int_equal(pool->threads, 2);
    assert_true(pool->cpu_ns >= 2 * THREAD_BURN_NS);
    assert_int_equal(busy_find(busy, n, "#_lives")->threads, 1);
    assert_true(busy_find(busy, n, "(a) b")->cpu_ns >= THREAD_BURN_NS);
    for (unsigned i = 1; i < n; i++)
        assert_true(busy[i - 1].cpu_ns >= busy[i].cpu_ns);
    end(&c);
}

TEST(grandchildren_count_and_their_parents_names_do_no_harm)
{
    struct perf_server s;
    struct perf_usage u;
    struct child c = start(have_a_grandchild);
    await(c.hear);
    assert_int_equal(perf_server_find(&s, c.pid), 0);
    assert_int_equal(s.count, 3);
    assert_true(look_for(&s, BURN_NS, 3, &u));
    end(&c);
}

TEST(memory_follows_and_the_peak_stays)
{
    struct perf_server s;
    struct perf_usage with, without;
    struct child c = start(use_memory);
    await(c.hear);
    assert_int_equal(perf_server_find(&s, c.pid), 0);
    assert_true(perf_server_look(&s, &with));
    uint64_t counted_with = perf_server_memory(&s);
    tell(c.say);
    await(c.hear);
    assert_true(perf_server_look(&s, &without));
    assert_true(with.rss >= BLOCK && with.rss_peak >= BLOCK);
    assert_true(without.rss < with.rss - BLOCK / 2);
    assert_true(counted_with - perf_server_memory(&s) >= BLOCK / 2);
    assert_true(without.rss_peak >= without.rss + BLOCK / 2);
    if (perf_server_forget_peak(&s)) {
        assert_true(perf_server_look(&s, &without));
        assert_true(without.rss_peak < with.rss_peak - BLOCK / 2);
    }
    end(&c);
}

TEST(the_fewest_files_count)
{
    struct perf_server s;
    struct child c = start(allow_few_files);
    await(c.hear);
    assert_int_equal(perf_server_find(&s, c.pid), 0);
    assert_int_equal(perf_server_files_allowed(&s), 123);
    end(&c);
}

static void add(struct perf_usage *u, const char *name, int id, uint64_t cpu_ns)
{
    struct perf_thread *t = &u->threads[u->threads_count++];
    *t = (struct perf_thread){.id = id, .cpu_ns = cpu_ns};
    strcpy(t->name, name);
}

TEST(names_that_are_numbers_or_full_stay_names)
{
    struct perf_usage from = {0}, to = {0};
    struct perf_busy busy[PERF_THREADS_MAX];
    add(&from, "hub", 1, 100);
    add(&to, "hub", 1, 100); /* idle */
    add(&to, "42", 2, 50);
    add(&to, "17", 3, 40);
    add(&to, "1_dirty_cpu_sch", 4, 30);
    add(&to, "123456789012345", 5, 20);
    add(&to, "x", 6, 10);
    add(&to, "", 7, 5);
    static const char *const names[] = {"42", "17", "#_dirty_cpu_sch", "123456789012345", "x", ""};
    assert_int_equal(perf_busy_since(&from, &to, busy), sizeof names / sizeof *names);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(busy[i].name, names[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_is_not_there_is_not_found),
        cmocka_unit_test(processor_time_is_what_was_burnt),
        cmocka_unit_test(a_thread_that_has_ended_is_not_forgotten),
        cmocka_unit_test(threads_of_one_pool_count_together),
        cmocka_unit_test(grandchildren_count_and_their_parents_names_do_no_harm),
        cmocka_unit_test(memory_follows_and_the_peak_stays),
        cmocka_unit_test(the_fewest_files_count),
        cmocka_unit_test(names_that_are_numbers_or_full_stay_names),
    };
    return unit_main("server", tests, argc, argv);
}
