/* Does the time of a failed login tell whether the user exists (reliability R50)?  Times many failed checks of several
 * kinds, in random order, and compares each kind with "the user exists, the password is wrong" by Welch's t.
 *
 * One kind is a planted leak, which must be found: otherwise the machine is too noisy for the others to mean anything.
 * Counts instructions where the kernel lets it, nanoseconds elsewhere.
 *
 *     timing_password [samples of each kind] [seed]
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/net/password.h"
#include "broker/perf/die.h"

#define T_MAX 4.5 /* beyond it two kinds differ, */
#define DIFFERENCE_MIN                                                                                                 \
    10.0                    /* if by so much: code that is merely elsewhere in memory takes some nanoseconds more or   \
                               less, and no network shows those */
#define KEPT_PER_HUNDRED 90 /* the slowest of each kind are interrupts and such */
#define ALGORITHM "rabbit_password_hashing_sha256"

enum kind { KIND_WRONG, KIND_WRONG_DEFAULT, KIND_UNKNOWN, KIND_NO_PASSWORD, KIND_LEAK, N_KINDS };

static const char *const names[N_KINDS] = {
    [KIND_WRONG] = "wrong password", [KIND_WRONG_DEFAULT] = "the same, default algorithm",
    [KIND_UNKNOWN] = "unknown user", [KIND_NO_PASSWORD] = "user without a password",
    [KIND_LEAK] = "planted leak",
};

struct samples {
    double *of; /* owned */
    size_t n;
};

static int counter = -1; /* of instructions; -1: there is none */

static void open_counter(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
                                   .size = sizeof attr,
                                   .config = PERF_COUNT_HW_INSTRUCTIONS,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};
    counter = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static double now(void)
{
    uint64_t n = 0;
    if (counter < 0)
        return (double)now_ns();
    if (read(counter, &n, sizeof n) != (ssize_t)sizeof n)
        die("cannot read the counter");
    return (double)n;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* What a login does with each.  Called through a table, so that no kind is the one that the processor expects. */
typedef bool judge_fn(struct bytes hash, struct bytes password);

static bool judge_known(struct bytes hash, struct bytes password)
{
    return password_check(BYTES(ALGORITHM), hash, password);
}

static bool judge_default(struct bytes hash, struct bytes password)
{
    return password_check(BYTES(""), hash, password);
}

static bool judge_unknown(struct bytes hash, struct bytes password)
{
    (void)hash;
    password_waste(password);
    return false;
}

static bool judge_without(struct bytes hash, struct bytes password)
{
    (void)hash;
    return password_check(BYTES(ALGORITHM), BYTES(""), password);
}

/* Looks at the hash once more than the others. */
static bool judge_leaking(struct bytes hash, struct bytes password)
{
    return password_is_hash(BYTES(ALGORITHM), hash) & password_check(BYTES(ALGORITHM), hash, password);
}

static judge_fn *const judges[N_KINDS] = {judge_known, judge_default, judge_unknown, judge_without, judge_leaking};

static void measure(struct samples kinds[N_KINDS], size_t each, uint64_t seed)
{
    char *text = password_make_hash(BYTES(ALGORITHM), BYTES("correct horse"));
    struct bytes hash = bytes_of_string(text);
    uint8_t password[13] = "battery stapl";
    for (size_t left = each * N_KINDS; left > 0;) {
        enum kind kind = (enum kind)(random_next(&seed) % N_KINDS);
        uint64_t salt = random_next(&seed);
        memcpy(password, &salt, sizeof salt);
        double from = now();
        bool is_right = judges[kind](hash, bytes_of(password, sizeof password));
        double took = now() - from;
        if (is_right)
            die("a wrong password is right");
        if (kinds[kind].n == each)
            continue;
        kinds[kind].of[kinds[kind].n++] = took;
        left--;
    }
    free(text);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct moments {
    double mean, variance;
    size_t n;
};

static struct moments moments_of(struct samples *s)
{
    struct moments m = {.n = s->n * KEPT_PER_HUNDRED / 100};
    qsort(s->of, s->n, sizeof(double), compare);
    for (size_t i = 0; i < m.n; i++)
        m.mean += s->of[i] / (double)m.n;
    for (size_t i = 0; i < m.n; i++)
        m.variance += (s->of[i] - m.mean) * (s->of[i] - m.mean) / (double)(m.n - 1);
    return m;
}

/* Welch's t; where nothing varies (instructions), any difference is one. */
static double welch(struct moments a, struct moments b)
{
    double error = sqrt(a.variance / (double)a.n + b.variance / (double)b.n);
    return a.mean == b.mean ? 0 : (a.mean - b.mean) / (error > 0 ? error : 1e-9);
}

int main(int argc, char **argv)
{
    size_t each = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 88172645463325252u;
    if (each < 100 || seed == 0)
        die("at least 100 samples, and a seed");
    open_counter();
    struct samples kinds[N_KINDS], warm[N_KINDS];
    for (int k = 0; k < N_KINDS; k++) {
        kinds[k] = (struct samples){.of = alloc_array(NULL, each, sizeof(double))};
        warm[k] = (struct samples){.of = kinds[k].of}; /* overwritten afterwards */
    }
    measure(warm, each / 10, seed);
    measure(kinds, each, seed);

    bool is_good = true;
    struct moments wrong = moments_of(&kinds[KIND_WRONG]);
    printf("%zu samples of each kind, %s\n", each, counter < 0 ? "nanoseconds" : "instructions");
    for (int k = 0; k < N_KINDS; k++) {
        struct moments m = k == KIND_WRONG ? wrong : moments_of(&kinds[k]);
        double t = welch(m, wrong);
        bool is_seen = fabs(t) >= T_MAX && fabs(m.mean - wrong.mean) >= DIFFERENCE_MIN;
        bool is_as_wanted = is_seen == (k == KIND_LEAK);
        printf("%-28s mean %8.1f  deviation %6.1f  t %8.2f%s\n", names[k], m.mean, sqrt(m.variance), t,
               is_as_wanted ? "" : "  FAILED");
        is_good &= is_as_wanted;
        free(kinds[k].of);
    }
    return is_good ? 0 : 1;
}
