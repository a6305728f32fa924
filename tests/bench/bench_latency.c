/* How long a message takes through a broker: published when it is due, seen by the consumer.
 *
 *   bench_latency [--port N --pid BROKER | --start PROGRAM [--set KEY=VALUE]…] [--rate N] [--size N] [--seconds N]
 *
 * One thread that never sleeps: it publishes whatever is due and looks whether something has come, so the figures are
 * the broker's and the kernel's.  A message's time begins when it was due, not when it could be sent at last.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/process.h"

enum { SETTINGS_MAX = 16, BODY_MAX = 65536, READ_ROOM = 1 << 20, WARM_UP_S = 1 };

struct options {
    unsigned long port, pid, rate, size, seconds;
    const char *program;
    const char *settings[SETTINGS_MAX + 1];
    unsigned n_settings;
};

struct run {
    struct link publisher, consumer;
    uint8_t *publish; /* owned */
    size_t publish_len;
    uint64_t sent, came;
    uint64_t *due; /* owned: of the i-th message; then what it took */
};

static void publish_due(struct run *r, uint64_t now, uint64_t all)
{
    while (r->sent < all && r->due[r->sent] <= now) {
        for (size_t at = 0; at < r->publish_len;) {
            ssize_t n = link_send(&r->publisher, r->publish + at, r->publish_len - at);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                die("publishing: %s", strerror(errno));
            at += n > 0 ? (size_t)n : 0;
        }
        r->sent++;
    }
}

static void take(struct run *r)
{
    struct frame f;
    link_fill(&r->consumer, MSG_DONTWAIT);
    uint64_t now = now_ns();
    while (link_cut(&r->consumer, &f))
        if (f.type == FRAME_BODY) {
            r->due[r->came] = now - r->due[r->came];
            r->came++;
        }
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void measure(const struct options *o)
{
    static uint8_t body[BODY_MAX];
    const struct link_to to = {.host = "127.0.0.1", .port = (unsigned)o->port};
    struct run r = {0};
    const uint64_t all = o->rate * (o->seconds + WARM_UP_S), warm = o->rate * WARM_UP_S;
    link_init(&r.publisher, &to);
    link_init(&r.consumer, &to);
    link_reserve(&r.consumer, READ_ROOM);
    link_declare(&r.consumer, "bench.latency", false, 0);
    link_consume(&r.consumer, "bench.latency", true, 0);
    link_put_message(&r.publisher, 1,
                     &(struct link_message){.routing_key = BYTES("bench.latency"), .body = bytes_of(body, o->size)});
    r.publish_len = r.publisher.out_len;
    r.publish = alloc_copy(r.publisher.out, r.publish_len);
    r.publisher.out_len = 0;
    r.due = alloc_array(NULL, all, sizeof *r.due);

    struct usage before = {0}, after = {0};
    if (o->pid > 0)
        before = process_usage((pid_t)o->pid);
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < all; i++)
        r.due[i] = start + i * 1000000000 / o->rate;
    while (r.came < all) {
        publish_due(&r, now_ns(), all);
        take(&r);
    }
    if (o->pid > 0)
        after = process_usage((pid_t)o->pid);
    qsort(r.due + warm, all - warm, sizeof *r.due, compare);
    const uint64_t *d = r.due + warm;
    const uint64_t n = all - warm;
    printf("%7lu/s  p50 %7.1f  p90 %7.1f  p99 %7.1f  p99.9 %8.1f  most %8.1f us  %6.0f broker-ns/message\n", o->rate,
           (double)d[n / 2] / 1e3, (double)d[n * 90 / 100] / 1e3, (double)d[n * 99 / 100] / 1e3,
           (double)d[n * 999 / 1000] / 1e3, (double)d[n - 1] / 1e3,
           (double)(after.cpu_ns - before.cpu_ns) / (double)all);
    link_fini(&r.publisher);
    link_fini(&r.consumer);
    free(r.publish);
    free(r.due);
}

static unsigned long number(void)
{
    char *end;
    unsigned long n = strtoul(optarg, &end, 10);
    if (*end != '\0' || n == 0 || n > INT32_MAX)
        die("not a number: %s", optarg);
    return n;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'n'},    {"pid", required_argument, NULL, 'i'},
        {"start", required_argument, NULL, 'b'},   {"set", required_argument, NULL, 's'},
        {"rate", required_argument, NULL, 'r'},    {"size", required_argument, NULL, 'z'},
        {"seconds", required_argument, NULL, 't'}, {0}};
    struct options o = {.port = 5672, .rate = 5000, .size = 1024, .seconds = 5};
    struct process broker;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'b')
            o.program = optarg;
        else if (c == 's' && o.n_settings < SETTINGS_MAX)
            o.settings[o.n_settings++] = optarg;
        else if (c == '?' || c == 's')
            die("usage: see the head of bench_latency.c");
        else
            *(c == 'n' ? &o.port : c == 'i' ? &o.pid : c == 'r' ? &o.rate : c == 'z' ? &o.size : &o.seconds) = number();
    }
    if (o.size > BODY_MAX)
        die("--size takes %d at most", BODY_MAX);
    if (o.program != NULL) {
        process_start(&broker, o.program, o.settings);
        o.port = broker.port;
        o.pid = (unsigned long)broker.pid;
    }
    measure(&o);
    if (o.program != NULL)
        process_stop(&broker);
    return 0;
}
