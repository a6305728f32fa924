/* What a broker needs in memory for each of the things that it holds, and that nobody can make it need more.
 *
 *   bench_memory MILLRACED [KEY=VALUE…] [NAME…]   starts one, so set, for each measurement; exits with 1 if a bound is
 *                                                 broken
 *   bench_memory --peer HOST:PORT PID             measures a broker that runs, except what needs a setting; judges
 * nothing
 *
 * Resident memory comes from /proc/PID/smaps_rollup, after the broker has come to rest.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/process.h"

enum {
    CONNECTIONS = 5000,
    CHANNELS = 2000,
    QUEUES = 10000,
    PIPELINE = 100, /* requests under way at once */
    BIG_BODY = 16 << 20,
    SMALL_BODY = 1024,
    WATERMARK = 256000000, /* bytes, as in WATERMARK_SETTING */
    OFFERED = 1 << 30,     /* bytes to readers that do not read, and to a queue that nobody reads */
    WAITING = 300000,      /* messages of TINY_BODY: fewer than make a queue go cold */
    TINY_BODY = 16,
    KEPT = 20000, /* messages of SMALL_BODY in a queue with a limit */
    READERS = 100,
    READER_BUFFER = 65536, /* of the reader's kernel, so that not all of it is swallowed there */
    QUIET_MS = 3000,       /* a broker that takes nothing for so long does not want more */
    SETTINGS_MAX = 8,
    TICK_NS = 10000000,
    PAIR_PER_TICK = 100,    /* 10,000 messages a second */
    FLOOD_PER_TICK = 1000,  /* 100,000 messages a second, as far as the broker takes them */
    PAIR_TICKS = 200,       /* the measurement without a flood */
    FLOOD_TICKS_MAX = 6000, /* a minute */
};

#define WATERMARK_SETTING "vm_memory_high_watermark.absolute=256MB"

struct bound {
    double most;  /* bytes an item, of resident memory; 0: none */
    double total; /* bytes of resident memory, of all that there is; 0: no bound */
    double kept;  /* the least part of its rate that a bystander must keep; 0: there is none */
};

/* One measurement. */
struct trial {
    const char *name; /* on the command line */
    const char *what;
    void (*run)(struct trial *t);
    const char *setting; /* or NULL */
    struct bound bound;
    /* While it runs: */
    struct link_to to;
    pid_t pid;
    /* What it found: */
    unsigned items;
    struct usage before, after;
    double kept;
    char note[96];
};

static void before(struct trial *t)
{
    t->before = process_settle(t->pid);
}

static void after(struct trial *t, unsigned items)
{
    t->after = process_settle(t->pid);
    t->items = items;
}

/* Opens a connection and drops it again: what a broker makes once and keeps does not count. */
static void warm_up(const struct trial *t)
{
    struct link l;
    link_init(&l, &t->to);
    link_fini(&l);
}

/* ---- Things that only exist */

static void measure_empty(struct trial *t)
{
    t->after = t->before = process_settle(t->pid);
    t->items = 1;
}

/* How many files the broker may have open, from /proc/PID/limits. */
static unsigned long files_allowed(pid_t broker)
{
    char path[64], line[256];
    unsigned long n = 0;
    snprintf(path, sizeof path, "/proc/%d/limits", (int)broker);
    FILE *f = fopen(path, "re");
    while (f != NULL && n == 0 && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Max open files %lu", &n) != 1)
            n = 0;
    if (n == 0)
        die("no limit of files in %s", path);
    fclose(f);
    return n;
}

/* As many connections as the broker and this process may have. */
static unsigned connections_allowed(pid_t broker)
{
    struct rlimit r;
    unsigned long most = files_allowed(broker);
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        die("no limit of files: %s", strerror(errno));
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    most = (most < r.rlim_cur ? most : r.rlim_cur) / 4 * 3;
    return most < CONNECTIONS ? (unsigned)most : CONNECTIONS;
}

/* Connections, each with what use does to it. */
static void measure_crowd(struct trial *t, void (*use)(struct link *l, unsigned i))
{
    unsigned n = connections_allowed(t->pid);
    struct link *all = alloc_zeroed(n * sizeof *all);

    warm_up(t);
    before(t);
    uint64_t began = now_ns();
    for (unsigned i = 0; i < n; i++) {
        link_init(&all[i], &t->to);
        if (use != NULL)
            use(&all[i], i);
    }
    double seconds = (double)(now_ns() - began) / 1e9;
    after(t, n);
    snprintf(t->note, sizeof t->note, "%.0f a second", n / seconds);
    for (unsigned i = 0; i < n; i++)
        link_fini(&all[i]);
    free(all);
}

static void measure_connections(struct trial *t)
{
    measure_crowd(t, NULL);
}

/* n of something, PIPELINE at a time: put writes the request for the i-th.  Channels may answer in any order. */
static void ask_many(struct link *l, unsigned n, void (*put)(struct link *l, unsigned i), enum method_id answer)
{
    for (unsigned first = 0; first < n; first += PIPELINE) {
        unsigned end = first + PIPELINE < n ? first + PIPELINE : n;
        for (unsigned i = first; i < end; i++)
            put(l, i);
        link_flush(l);
        for (unsigned i = first; i < end;) {
            struct frame f = link_next(l);
            i += f.type == FRAME_METHOD && link_method(&f).id == answer;
        }
    }
}

static void put_channel(struct link *l, unsigned i)
{
    link_put(l, i + 2, &(struct channel_open){.id = METHOD_channel_open});
}

static void measure_channels(struct trial *t)
{
    struct link l;
    link_init(&l, &t->to);
    before(t);
    ask_many(&l, CHANNELS, put_channel, METHOD_channel_open_ok);
    after(t, CHANNELS);
    link_fini(&l);
}

static void put_queue(struct link *l, unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "bench.memory.%u", i);
    link_put(l, 1,
             &(struct queue_declare){
                 .id = METHOD_queue_declare, .queue = bytes_of_string(name), .exclusive = true, .auto_delete = true});
}

static void put_binding(struct link *l, unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "bench.memory.%u", i);
    link_put(l, 1,
             &(struct queue_bind){.id = METHOD_queue_bind,
                                  .queue = bytes_of_string(name),
                                  .exchange = BYTES("amq.direct"),
                                  .routing_key = bytes_of_string(name)});
}

static void make_queues(struct trial *t, bool are_bound)
{
    struct link l;
    link_init(&l, &t->to);
    before(t);
    ask_many(&l, QUEUES, put_queue, METHOD_queue_declare_ok);
    if (are_bound)
        ask_many(&l, QUEUES, put_binding, METHOD_queue_bind_ok);
    after(t, QUEUES);
    link_fini(&l);
}

static void measure_queues(struct trial *t)
{
    make_queues(t, false);
}

static void measure_bound_queues(struct trial *t)
{
    make_queues(t, true);
}

/* ---- Messages */

static void put_body(struct link *l, const char *queue, size_t size)
{
    static uint8_t body[BIG_BODY];
    link_put_message(l, 1, &(struct link_message){.routing_key = bytes_of_string(queue), .body = bytes_of(body, size)});
}

static void delete_queue(const struct trial *t, const char *queue)
{
    struct link l;
    link_init(&l, &t->to);
    link_call(&l, 1, &(struct queue_delete){.id = METHOD_queue_delete, .queue = bytes_of_string(queue)},
              METHOD_queue_delete_ok);
    link_fini(&l);
}

static void fetch_big(struct link *l, const char *queue)
{
    link_call(l, 1, &(struct basic_get){.id = METHOD_basic_get, .queue = bytes_of_string(queue), .no_ack = true},
              METHOD_basic_get_ok);
    for (size_t left = BIG_BODY; left > 0;) {
        struct frame f = link_next(l);
        if (f.type == FRAME_BODY)
            left -= f.payload.len;
    }
}

static void measure_big(struct trial *t, bool is_fetched)
{
    struct link l;
    link_init(&l, &t->to);
    link_declare(&l, "bench.big", true, 0);
    link_call(&l, 1, &(struct confirm_select){.id = METHOD_confirm_select}, METHOD_confirm_select_ok);
    before(t);
    put_body(&l, "bench.big", BIG_BODY);
    link_flush(&l);
    link_expect(&l, 1, METHOD_basic_ack);
    if (is_fetched)
        fetch_big(&l, "bench.big");
    after(t, 1);
    delete_queue(t, "bench.big");
    link_fini(&l);
}

static void measure_big_held(struct trial *t)
{
    measure_big(t, false);
}

static void measure_big_fetched(struct trial *t)
{
    measure_big(t, true);
}

/* A message of its own, through a queue of its own to a consumer of its own. */
static void speak(struct link *l, unsigned i)
{
    char queue[32];
    snprintf(queue, sizeof queue, "bench.speak.%u", i);
    link_declare(l, queue, false, 0);
    link_consume(l, queue, false, 1);
    put_body(l, queue, SMALL_BODY);
    link_flush(l);
    union method got = link_expect(l, 1, METHOD_basic_deliver);
    link_put(l, 1, &(struct basic_ack){.id = METHOD_basic_ack, .delivery_tag = got.basic_deliver.delivery_tag});
    link_flush(l);
}

static void measure_speakers(struct trial *t)
{
    measure_crowd(t, speak);
}

/* Messages that wait in memory, of whose bytes the broker has to keep a key, two bytes of properties and the body. */
static void measure_waiting(struct trial *t)
{
    static const char queue[] = "bench.waiting";
    struct link l;
    warm_up(t);
    link_init(&l, &t->to);
    link_declare(&l, queue, false, 0);
    before(t);
    for (unsigned i = 0; i < WAITING; i++) {
        put_body(&l, queue, TINY_BODY);
        if (i % PIPELINE == 0)
            link_flush(&l);
    }
    link_call(&l, 1,
              &(struct queue_declare){.id = METHOD_queue_declare, .queue = bytes_of_string(queue), .passive = true},
              METHOD_queue_declare_ok);
    after(t, WAITING);
    snprintf(t->note, sizeof t->note, "%zu of them its own", strlen(queue) + 2 + TINY_BODY);
    delete_queue(t, queue);
    link_fini(&l);
}

/* Publishes until the broker has taken so many bytes, or takes nothing for QUIET_MS. */
static uint64_t offer(struct link *l, const char *queue, uint64_t bytes)
{
    while (l->out_len < READER_BUFFER)
        put_body(l, queue, SMALL_BODY);
    uint64_t total = 0;
    while ((total < bytes || total % l->out_len != 0) && link_wait(l, POLLOUT, QUIET_MS)) {
        size_t at = total % l->out_len;
        ssize_t n = send(l->fd, l->out + at, l->out_len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            die("publishing: %s", strerror(errno));
        total += n > 0 ? (uint64_t)n : 0;
    }
    l->out_len = 0;
    return total;
}

/* Nobody reads: what is beyond the window goes to disk, and the publisher is not blocked. */
static void measure_backlog(struct trial *t)
{
    struct link publisher, other;
    link_init(&publisher, &t->to);
    link_init(&other, &t->to);
    link_declare(&other, "bench.backlog", true, 0);
    before(t);
    uint64_t taken = offer(&publisher, "bench.backlog", OFFERED);
    after(t, 1);
    if (taken < OFFERED)
        die("a publisher was blocked after %.0f MiB, and there is a disk", (double)taken / (1 << 20));
    link_call(&other, 1, &(struct queue_purge){.id = METHOD_queue_purge, .queue = BYTES("bench.backlog")},
              METHOD_queue_purge_ok);
    struct usage purged = process_settle(t->pid);
    snprintf(t->note, sizeof t->note, "%d MiB taken; purged: %.1f MiB", OFFERED >> 20, (double)purged.rss / (1 << 20));
    link_fini(&publisher);
    link_fini(&other);
}

/* ---- Readers that do not read */

/* Sends as much as the socket takes of what was put; false if some is left. */
static bool send_some(struct link *l, size_t *at)
{
    ssize_t n = send(l->fd, l->out + *at, l->out_len - *at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        die("publishing: %s", strerror(errno));
    *at += n > 0 ? (size_t)n : 0;
    if (*at < l->out_len)
        return false;
    l->out_len = *at = 0;
    return true;
}

static unsigned count_bodies(struct link *l)
{
    struct frame f;
    unsigned n = 0;
    link_fill(l, MSG_DONTWAIT);
    while (link_cut(l, &f))
        n += f.type == FRAME_BODY;
    return n;
}

struct pair {
    struct link publisher, consumer;
    size_t at; /* in the publisher's output */
};

static void pair_init(struct pair *p, const struct link_to *to)
{
    *p = (struct pair){0};
    link_init(&p->publisher, to);
    link_init(&p->consumer, to);
    link_reserve(&p->consumer, READER_BUFFER);
    link_declare(&p->consumer, "bench.pair", false, 0);
    link_consume(&p->consumer, "bench.pair", true, 0);
}

static void pair_fini(struct pair *p)
{
    link_fini(&p->publisher);
    link_fini(&p->consumer);
}

/* Lets the pair pass PAIR_PER_TICK messages each tick, and the flood, if there is one, FLOOD_PER_TICK or what it may,
 * until the flood is over or, without one, for PAIR_TICKS.  Answers what part of the pair's messages came meanwhile. */
static double run_ticks(struct pair *p, struct link *flood, const char *queue)
{
    size_t flood_at = 0;
    uint64_t flooded = 0, came = 0, offered = 0, due = now_ns();
    unsigned most = flood != NULL ? FLOOD_TICKS_MAX : PAIR_TICKS;
    for (unsigned tick = 0; tick < most && (flood == NULL || flooded < OFFERED); tick++) {
        for (unsigned i = 0; i < PAIR_PER_TICK; i++, offered++)
            put_body(&p->publisher, "bench.pair", 100);
        if (flood != NULL && flood->out_len == 0) {
            for (unsigned i = 0; i < FLOOD_PER_TICK; i++)
                put_body(flood, queue, SMALL_BODY);
            flooded += FLOOD_PER_TICK * SMALL_BODY;
        }
        due += TICK_NS;
        do {
            send_some(&p->publisher, &p->at);
            if (flood != NULL)
                send_some(flood, &flood_at);
            int64_t left = (int64_t)(due - now_ns());
            link_wait(&p->consumer, POLLIN, left > 1000000 ? 1 : 0);
            came += count_bodies(&p->consumer);
        } while (now_ns() < due);
    }
    return (double)came / (double)offered;
}

/* Offers OFFERED bytes to n readers of one queue that stopped, and looks at a bystander's rate meanwhile. */
static void stop_readers(struct trial *t, unsigned n)
{
    struct link flood, *readers = alloc_zeroed(n * sizeof *readers);
    struct link_to to = t->to;
    struct pair bystander;
    to.receive_buffer = READER_BUFFER;
    pair_init(&bystander, &t->to);
    link_init(&flood, &t->to);
    link_declare(&flood, "bench.stopped", true, KEPT);
    offer(&flood, "bench.stopped", (uint64_t)2 * KEPT * SMALL_BODY);
    double alone = run_ticks(&bystander, NULL, NULL);
    before(t);
    for (unsigned i = 0; i < n; i++) {
        link_init(&readers[i], &to);
        link_consume(&readers[i], "bench.stopped", true, 0);
    }
    double beside = run_ticks(&bystander, &flood, "bench.stopped");
    after(t, n);
    t->kept = beside / alone;
    snprintf(t->note, sizeof t->note, "a bystander keeps %.0f %%", t->kept * 100);
    for (unsigned i = 0; i < n; i++)
        link_fini(&readers[i]);
    link_fini(&flood);
    pair_fini(&bystander);
    delete_queue(t, "bench.stopped");
    free(readers);
}

static void measure_reader(struct trial *t)
{
    stop_readers(t, 1);
}

static void measure_readers(struct trial *t)
{
    stop_readers(t, READERS);
}

/* ---- All of them */

static struct trial trials[] = {
    {.name = "empty", .what = "empty broker", .run = measure_empty, .bound = {.total = 7 << 20}},
    {.name = "connection",
     .what = "idle connection with a channel",
     .run = measure_connections,
     .bound = {.most = 6 << 10}},
    {.name = "speaker", .what = "the same, and its queue in use", .run = measure_speakers, .bound = {.most = 12 << 10}},
    {.name = "channel", .what = "channel on one connection", .run = measure_channels, .bound = {.most = 1 << 10}},
    {.name = "queue", .what = "empty queue", .run = measure_queues, .bound = {.most = 1 << 10}},
    {.name = "bound-queue",
     .what = "queue with a binding",
     .run = measure_bound_queues,
     .bound = {.most = 1.5 * (1 << 10)}},
    {.name = "big-held", .what = "16 MiB body in a queue", .run = measure_big_held, .bound = {.most = 2.0 * BIG_BODY}},
    {.name = "big-fetched", .what = "16 MiB body, fetched", .run = measure_big_fetched, .bound = {.most = 8 << 20}},
    {.name = "waiting",
     .what = "16-byte message that waits in memory",
     .run = measure_waiting,
     .bound = {.most = 64 + 13 + 2 + TINY_BODY}},
    {.name = "backlog",
     .what = "publisher without consumer",
     .run = measure_backlog,
     .setting = WATERMARK_SETTING,
     .bound = {.most = WATERMARK}},
    {.name = "stopped-reader",
     .what = "reader that never reads, 1 GiB",
     .run = measure_reader,
     .bound = {.most = 8 << 20, .kept = 0.9}},
    {.name = "stopped-readers",
     .what = "100 such readers, 1 GiB",
     .run = measure_readers,
     .bound = {.most = 1.5 * (1 << 20), .kept = 0.9}},
};

enum { TRIALS = sizeof trials / sizeof trials[0] };

/* Prints the line and says whether the bounds hold. */
static bool judge(const struct trial *t, bool is_judged)
{
    double item = ((double)t->after.rss - (double)t->before.rss) / t->items;
    bool is_small = (t->bound.most <= 0 || item <= t->bound.most) &&
                    (t->bound.total <= 0 || (double)t->after.rss <= t->bound.total);
    bool ok = !is_judged || (is_small && t->kept >= t->bound.kept);
    printf("%-31s %6u %8.1f %8.1f %8.1f ", t->what, t->items, (double)t->before.rss / (1 << 20),
           (double)t->after.rss / (1 << 20), (double)t->after.unshared / (1 << 20));
    printf("%10.1f ", item / 1024);
    if (t->bound.most > 0)
        printf("%10.1f", t->bound.most / 1024);
    else
        printf("%10s", "");
    printf("  %s%s\n", t->note, ok ? "" : "  BROKEN");
    fflush(stdout);
    return ok;
}

/* With no name at all every one is wanted. */
static bool is_wanted(const char *name, int argc, char **argv)
{
    bool any = true;
    for (int i = 0; i < argc; i++) {
        if (strcmp(name, argv[i]) == 0)
            return true;
        any &= strchr(argv[i], '=') != NULL;
    }
    return any;
}

/* args: what the command line says after the program. */
static void run_alone(struct trial *t, const char *program, int argc, char **args)
{
    struct process p;
    const char *settings[SETTINGS_MAX + 2] = {0};
    unsigned n = 0;
    for (int i = 0; i < argc && n < SETTINGS_MAX; i++)
        if (strchr(args[i], '=') != NULL)
            settings[n++] = args[i];
    settings[n] = t->setting;
    process_start(&p, program, settings);
    t->to = (struct link_to){.host = "127.0.0.1", .port = p.port};
    t->pid = p.pid;
    t->run(t);
    process_stop(&p);
}

int main(int argc, char **argv)
{
    const char *peer = NULL;
    char host[64];
    unsigned port = 0;
    int pid = 0;
    if (argc == 4 && strcmp(argv[1], "--peer") == 0) {
        peer = argv[2];
        if (sscanf(peer, "%63[0-9.]:%u", host, &port) != 2 || sscanf(argv[3], "%d", &pid) != 1)
            die("usage: bench_memory --peer HOST:PORT PID");
    } else if (argc < 2) {
        die("usage: bench_memory MILLRACED [KEY=VALUE…] [NAME…]");
    }
    printf("%-31s %6s %8s %8s %8s %10s %10s\n", "what", "items", "before", "after", "private", "an item", "at most");
    printf("%-31s %6s %8s %8s %8s %10s %10s\n", "", "", "MiB", "MiB", "MiB", "KiB", "KiB");
    bool ok = true;
    for (unsigned i = 0; i < TRIALS; i++) {
        struct trial *t = &trials[i];
        if (peer != NULL ? t->setting != NULL : !is_wanted(t->name, argc - 2, argv + 2))
            continue;
        if (peer != NULL) {
            t->to = (struct link_to){.host = host, .port = port};
            t->pid = pid;
            t->run(t);
        } else {
            run_alone(t, argv[1], argc - 2, argv + 2);
        }
        ok &= judge(t, peer == NULL);
    }
    return ok ? 0 : 1;
}
