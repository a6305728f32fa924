/* Many producers and as many consumers, each pair with a queue of its own: what is left of the rate of one pair.
 *
 *   bench_crowd [--port N --pid BROKER | --start PROGRAM [--set KEY=VALUE]…] [--pairs N] [--size N] [--count N]
 *               [--backlog N]
 *
 * One thread; a publish is a copy of a prepared one and many go with one write, deliveries are counted by their bytes,
 * which are the same in each.  A pair has at most its share of the backlog under way.  --count: messages of all pairs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/process.h"

enum { SETTINGS_MAX = 16, BODY_MAX = 65536, PAIRS_MAX = 8192, EVENTS = 256, CHUNK = 128 << 10, ROOM = 256 << 10 };

struct options {
    unsigned long port, pid, pairs, size, count, backlog;
    const char *program;
    const char *settings[SETTINGS_MAX + 1];
    unsigned n_settings;
};

struct pair {
    struct link publisher, consumer;
    uint8_t *publishes; /* owned: chunk bytes of whole publishes */
    uint64_t sent, received;
    bool is_full; /* its socket takes no more; epoll tells */
};

struct run {
    const struct options *o;
    struct pair *pairs; /* owned */
    int poller;
    size_t publish_len, deliver_len, chunk;
    uint64_t window; /* messages of a pair that may be under way */
    uint64_t left;   /* messages that nobody has begun to send */
    uint64_t came;
    uint8_t room[ROOM];
};

static void prepare(struct run *r, struct pair *p, unsigned i)
{
    static uint8_t body[BODY_MAX];
    const struct link_to to = {.host = "127.0.0.1", .port = (unsigned)r->o->port};
    char queue[32];
    snprintf(queue, sizeof queue, "bench.crowd.%05u", i);
    link_init(&p->publisher, &to);
    link_init(&p->consumer, &to);
    link_declare(&p->consumer, queue, false, 0);
    link_call(
        &p->consumer, 1,
        &(struct basic_consume){
            .id = METHOD_basic_consume, .queue = bytes_of_string(queue), .consumer_tag = BYTES("c"), .no_ack = true},
        METHOD_basic_consume_ok);
    const struct link_message m = {.routing_key = bytes_of_string(queue), .body = bytes_of(body, r->o->size)};
    link_put_message(&p->publisher, 1, &m);
    r->publish_len = p->publisher.out_len;
    uint64_t n = CHUNK / r->publish_len;
    if (n > r->window)
        n = r->window;
    r->chunk = (n > 0 ? n : 1) * r->publish_len;
    while (p->publisher.out_len < r->chunk)
        link_put_message(&p->publisher, 1, &m);
    p->publishes = alloc_copy(p->publisher.out, r->chunk);
    /* deliver: "c", the tag, redelivered, "", the key instead of publish's two reserved octets, "", the key, flags. */
    r->deliver_len = r->publish_len - 3 + 2 + 8 + 1;
    epoll_ctl(r->poller, EPOLL_CTL_ADD, p->consumer.fd, &(struct epoll_event){.events = EPOLLIN, .data.u64 = 2 * i});
    epoll_ctl(r->poller, EPOLL_CTL_ADD, p->publisher.fd,
              &(struct epoll_event){.events = EPOLLOUT | EPOLLET, .data.u64 = 2 * i + 1});
}

static void push(struct run *r, struct pair *p)
{
    while (!p->is_full) {
        uint64_t begun = (p->sent + r->publish_len - 1) / r->publish_len, came = p->received / r->deliver_len;
        uint64_t may = came + r->window > begun ? came + r->window - begun : 0;
        if (may > r->left)
            may = r->left;
        size_t at = p->sent % r->chunk, rest = (size_t)(begun * r->publish_len - p->sent);
        if (may < r->window / 4 && may < r->left && rest == 0)
            return; /* so that writes stay large */
        size_t n = rest + may * r->publish_len;
        if (n > r->chunk - at)
            n = r->chunk - at;
        if (n == 0)
            return;
        ssize_t done = link_send(&p->publisher, p->publishes + at, n);
        if (done < 0 && errno != EAGAIN && errno != EINTR)
            die("publishing: %s", strerror(errno));
        p->is_full = done < (ssize_t)n;
        p->sent += done > 0 ? (uint64_t)done : 0;
        r->left -= (p->sent + r->publish_len - 1) / r->publish_len - begun;
    }
}

static void take(struct run *r, struct pair *p)
{
    ssize_t n = recv(p->consumer.fd, r->room, sizeof r->room, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        die("consuming: %s", n == 0 ? "closed" : strerror(errno));
    uint64_t before = p->received / r->deliver_len;
    p->received += n > 0 ? (uint64_t)n : 0;
    r->came += p->received / r->deliver_len - before;
}

static void go(struct run *r, uint64_t count)
{
    struct epoll_event events[EVENTS];
    r->left = count;
    r->came = 0;
    for (unsigned i = 0; i < r->o->pairs; i++)
        push(r, &r->pairs[i]);
    while (r->came < count) {
        int n = epoll_wait(r->poller, events, EVENTS, LINK_PATIENCE_MS);
        if (n <= 0)
            die("%llu of %llu messages came", (unsigned long long)r->came, (unsigned long long)count);
        for (int i = 0; i < n; i++) {
            struct pair *p = &r->pairs[events[i].data.u64 / 2];
            if (events[i].data.u64 % 2 == 0)
                take(r, p);
            else
                p->is_full = false;
            push(r, p);
        }
    }
}

static void measure(const struct options *o)
{
    struct run *r = alloc_zeroed(sizeof *r);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    r->o = o;
    r->window = o->backlog / o->pairs + 1;
    r->poller = epoll_create1(EPOLL_CLOEXEC);
    r->pairs = alloc_zeroed(o->pairs * sizeof *r->pairs);
    for (unsigned i = 0; i < o->pairs; i++)
        prepare(r, &r->pairs[i], i);
    struct usage before = {0}, after = {0};
    go(r, o->count / 10);
    if (o->pid > 0)
        before = process_usage((pid_t)o->pid);
    uint64_t began = now_ns();
    go(r, o->count);
    double ns = (double)(now_ns() - began);
    if (o->pid > 0)
        after = process_usage((pid_t)o->pid);
    printf("%6lu pairs %9.0f messages/s %7.0f broker-ns/message %8.1f MiB-RSS\n", o->pairs, (double)o->count / ns * 1e9,
           (double)(after.cpu_ns - before.cpu_ns) / (double)o->count, (double)after.rss / (1 << 20));
    for (unsigned i = 0; i < o->pairs; i++) {
        link_fini(&r->pairs[i].publisher);
        link_fini(&r->pairs[i].consumer);
        free(r->pairs[i].publishes);
    }
    free(r->pairs);
    free(r);
}

static unsigned long number(unsigned long most)
{
    char *end;
    unsigned long n = strtoul(optarg, &end, 10);
    if (*end != '\0' || n == 0 || n > most)
        die("not a number up to %lu: %s", most, optarg);
    return n;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'n'},
                                          {"pid", required_argument, NULL, 'i'},
                                          {"start", required_argument, NULL, 'b'},
                                          {"set", required_argument, NULL, 's'},
                                          {"pairs", required_argument, NULL, 'p'},
                                          {"size", required_argument, NULL, 'z'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"backlog", required_argument, NULL, 'l'},
                                          {0}};
    struct options o = {.port = 5672, .pairs = 1000, .size = 16, .count = 2000000, .backlog = 200000};
    struct process broker;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'n':
            o.port = number(UINT16_MAX);
            break;
        case 'i':
            o.pid = number(INT32_MAX);
            break;
        case 'b':
            o.program = optarg;
            break;
        case 's':
            if (o.n_settings < SETTINGS_MAX)
                o.settings[o.n_settings++] = optarg;
            break;
        case 'p':
            o.pairs = number(PAIRS_MAX);
            break;
        case 'z':
            o.size = number(BODY_MAX);
            break;
        case 'c':
            o.count = number(INT32_MAX);
            break;
        case 'l':
            o.backlog = number(INT32_MAX);
            break;
        default:
            die("usage: see the head of bench_crowd.c");
        }
    }
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
