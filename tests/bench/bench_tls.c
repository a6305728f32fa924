/* What coming costs a broker: connections one after another, plain or over TLS, and what they take while they wait.
 *
 *   bench_tls hello   to the broker's first AMQP method: TCP, TLS, and the proof that both ends are through with it
 *   bench_tls login   to an open channel
 *   bench_tls idle    --count connections at once, with a channel each: bytes for each of them
 *
 * Prints one line: how many a second, the broker's processor time for one (all its threads, kernel included), how many
 * in a hundred were resumed; or for idle, bytes of resident memory for one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/link_tls.h"
#include "broker/perf/process.h"

enum { THREADS = 64, SECONDS_MAX = 3600, COUNT_MAX = 100000, WARM_UP_MS = 500, FILES_SPARE = 64 };

struct options {
    uint64_t port, pid, threads, seconds, count;
    const char *host, *ca, *protocol;
    bool resumes, logs_in;
};

struct bench {
    struct options o;
    struct link_tls *tls; /* owned; NULL: plain */
    _Atomic uint64_t came, resumed;
    _Atomic bool is_over;
};

/* Comes once, and goes. */
static void come(struct bench *b, struct link_ticket *ticket)
{
    struct link l;
    struct link_to to = {.host = b->o.host, .port = (unsigned)b->o.port, .tls = b->tls, .ticket = ticket};
    if (b->o.logs_in) {
        link_init(&l, &to);
    } else {
        link_connect(&l, &to);
        link_greet(&l, NULL);
    }
    atomic_fetch_add(&b->came, 1);
    if (l.tls != NULL && link_tls_is_resumed(l.tls))
        atomic_fetch_add(&b->resumed, 1);
    link_fini(&l);
}

static void *come_and_go(void *arg)
{
    struct bench *b = arg;
    struct link_ticket ticket = {0};
    while (!atomic_load(&b->is_over))
        come(b, b->o.resumes ? &ticket : NULL);
    link_ticket_fini(&ticket);
    return NULL;
}

struct sample {
    uint64_t ns, cpu_ns, came, resumed;
};

static struct sample sample(struct bench *b)
{
    return (struct sample){.ns = now_ns(),
                           .cpu_ns = process_usage((pid_t)b->o.pid).cpu_ns,
                           .came = atomic_load(&b->came),
                           .resumed = atomic_load(&b->resumed)};
}

static void measure_rate(struct bench *b)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < b->o.threads; i++)
        if (pthread_create(&threads[i], NULL, come_and_go, b) != 0)
            die("no thread: %s", strerror(errno));
    pause_ms(WARM_UP_MS);
    struct sample from = sample(b);
    pause_ms((int)b->o.seconds * 1000);
    struct sample to = sample(b);
    atomic_store(&b->is_over, true);
    for (unsigned i = 0; i < b->o.threads; i++)
        pthread_join(threads[i], NULL);
    uint64_t n = to.came - from.came;
    if (n == 0)
        die("nobody came through");
    printf("%9.0f a second %9.0f broker-us %5.0f %% resumed\n", (double)n * 1e9 / (double)(to.ns - from.ns),
           (double)(to.cpu_ns - from.cpu_ns) / 1e3 / (double)n,
           100.0 * (double)(to.resumed - from.resumed) / (double)n);
}

/* For so many connections, and a few things besides. */
static void allow_files(uint64_t n)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        die("no limit of files: %s", strerror(errno));
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_cur < n + FILES_SPARE)
        die("%llu connections need more files than this process may have", (unsigned long long)n);
}

static void measure_idle(struct bench *b)
{
    uint64_t n = b->o.count;
    struct link *all = alloc_zeroed(n * sizeof *all);
    struct link_to to = {.host = b->o.host, .port = (unsigned)b->o.port, .tls = b->tls};
    allow_files(n);
    link_init(&all[0], &to);
    link_fini(&all[0]);
    struct usage from = process_settle((pid_t)b->o.pid);
    for (uint64_t i = 0; i < n; i++)
        link_init(&all[i], &to);
    struct usage then = process_settle((pid_t)b->o.pid);
    printf("%9.0f bytes each\n", ((double)then.rss - (double)from.rss) / (double)n);
    for (uint64_t i = 0; i < n; i++)
        link_fini(&all[i]);
    free(all);
}

static uint64_t parse(const char *option, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(optarg, &end, 10);
    if (errno != 0 || *end != '\0' || end == optarg || n < least || n > most)
        die("--%s takes a number from %llu to %llu", option, (unsigned long long)least, (unsigned long long)most);
    return n;
}

static const char usage[] =
    "usage: bench_tls hello|login|idle --port N --pid BROKER [--host A] [--tls CA-FILE [--tls-version 1.2|1.3]\n"
    "    [--resume]] [--threads N] [--seconds S] [--count CONNECTIONS]";

static void parse_options(struct options *o, int argc, char **argv)
{
    const struct {
        uint64_t *to, least, most;
    } numbers[] = {{&o->port, 1, 65535},
                   {&o->pid, 1, INT32_MAX},
                   {&o->threads, 1, THREADS},
                   {&o->seconds, 1, SECONDS_MAX},
                   {&o->count, 1, COUNT_MAX}};
    const struct option known[] = {
        {"port", required_argument, NULL, 0},    {"pid", required_argument, NULL, 0},
        {"threads", required_argument, NULL, 0}, {"seconds", required_argument, NULL, 0},
        {"count", required_argument, NULL, 0},   {"host", required_argument, NULL, 'h'},
        {"tls", required_argument, NULL, 'c'},   {"tls-version", required_argument, NULL, 'v'},
        {"resume", no_argument, NULL, 'r'},      {0},
    };
    for (int c, at = 0; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
        if (c == 0)
            *numbers[at].to = parse(known[at].name, numbers[at].least, numbers[at].most);
        else if (c == 'h')
            o->host = optarg;
        else if (c == 'c')
            o->ca = optarg;
        else if (c == 'v')
            o->protocol = optarg;
        else if (c == 'r')
            o->resumes = true;
        else
            die("%s", usage);
    }
    if (optind != argc - 1 || o->port == 0 || o->pid == 0)
        die("%s", usage);
}

int main(int argc, char **argv)
{
    struct bench b = {.o = {.host = "127.0.0.1", .threads = 4, .seconds = 3, .count = 1000, .protocol = "1.3"}};
    parse_options(&b.o, argc, argv);
    const char *what = argv[optind];
    if (b.o.ca != NULL)
        b.tls = link_tls_create(b.o.ca, b.o.protocol);
    b.o.logs_in = strcmp(what, "login") == 0;
    if (b.o.logs_in || strcmp(what, "hello") == 0)
        measure_rate(&b);
    else if (strcmp(what, "idle") == 0)
        measure_idle(&b);
    else
        die("%s", usage);
    link_tls_destroy(b.tls);
    return 0;
}
