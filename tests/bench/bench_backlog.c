/* A long backlog in one durable queue: what a waiting message costs in memory, how soon the broker is there again after
 * a kill and after a clean stop, and whether everything is still there, in order and once.
 *
 *   bench_backlog MILLRACED [OPTION…]                 a broker of its own, in a folder that is thrown away
 *   bench_backlog --peer HOST:PORT --pid PID [OPTION…]  a broker that runs: it is filled and emptied, not restarted
 *
 *   --messages N (10,000,000)  --size BYTES (100)  --set KEY=VALUE  --queue-type TYPE  --transient
 *   --most MB  --growth BYTES  --after-kill MS  --after-stop MS     bounds; 1 is the exit status if one is broken
 *
 * Every message is published with a confirm, and carries its number.  The lines that begin with "ok" or "not ok" are
 * TAP, and scripts/sum-results counts the sums at the end.  Times are from the start of the process, with what the
 * kernel still has of its files in memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/process.h"

enum {
    MESSAGES_MAX = 100000000,
    SIZE_MAX_BYTES = 100000, /* a body is one frame */
    BOUND_MAX = 1000000,
    NUMBER_BYTES = 8, /* a message's number, at the beginning of its body */
    CHUNK = 256,      /* publishes in one write */
    WINDOW = 16384,   /* publishes that are not confirmed yet */
    ACKS = 500,       /* deliveries that are acknowledged at once */
    PREFETCH = 4000,  /* and that may be out */
    READ_ROOM = 1 << 20,
    STEPS = 10, /* lines of the table */
    MB = 1000000,
    SETTINGS_MAX = 16,
    HOST_ROOM = 64,
    NS_PER_MS = 1000000,
};

static const char QUEUE[] = "bench.backlog";

struct options {
    const char *program; /* NULL: a peer */
    const char *settings[SETTINGS_MAX + 1];
    unsigned settings_count;
    char host[HOST_ROOM];
    uint64_t port, pid;
    const char *type;
    uint64_t messages, size;
    bool is_transient;
    uint64_t most_mb, growth, after_kill_ms, after_stop_ms; /* bounds; 0: none */
};

struct bench {
    struct options o;
    struct process broker;
    struct link_to to;
    pid_t pid;
    uint64_t peak;       /* bytes, the most that was resident while the queue grew */
    uint64_t begin, end; /* … and how much was after the second step and after the last */
    uint64_t begin_at;   /* how many messages waited after the second step */
    unsigned tests, broken;
};

/* One line of the verdict. */
__attribute__((format(printf, 3, 4))) static void tell(struct bench *b, bool ok, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    b->tests++;
    b->broken += !ok;
    printf("%s %u - ", ok ? "ok" : "not ok", b->tests);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    fflush(stdout);
}

/* Likewise, of a figure that has a bound, or has none. */
static void judge(struct bench *b, const char *what, double is, double most, const char *unit)
{
    if (most > 0)
        tell(b, is <= most, "%s: %.2f %s, at most %.0f", what, is, unit, most);
    else
        printf("# %s: %.2f %s\n", what, is, unit);
}

static double seconds_since(uint64_t began)
{
    return (double)(now_ns() - began) / 1e9;
}

static double disk_mb(const struct bench *b)
{
    return b->o.program != NULL ? (double)folder_bytes(b->broker.dir) / MB : 0;
}

/* ---- Filling the queue */

struct filler {
    struct link link;
    size_t publish_len, body_at; /* of one publish; where in it the body begins */
    uint64_t put, confirmed;     /* publishes that were prepared; every one up to this one is safe */
    size_t at;                   /* bytes of the output that are sent */
};

/* Leaves CHUNK publishes in the output buffer, to be numbered. */
static void filler_init(struct filler *f, const struct bench *b)
{
    uint8_t *body = alloc_zeroed(b->o.size);
    struct link_message m = {
        .routing_key = bytes_of_string(QUEUE), .body = bytes_of(body, b->o.size), .persistent = !b->o.is_transient};
    *f = (struct filler){0};
    link_init(&f->link, &b->to);
    link_declare_durable(&f->link, QUEUE, b->o.type, true);
    link_call(&f->link, 1, &(struct confirm_select){.id = METHOD_confirm_select}, METHOD_confirm_select_ok);
    for (unsigned i = 0; i < CHUNK; i++)
        link_put_message(&f->link, 1, &m);
    f->publish_len = f->link.out_len / CHUNK;
    f->body_at = f->publish_len - b->o.size - 1; /* the frame's end is behind it */
    f->at = f->link.out_len;
    free(body);
}

static void number_chunk(struct filler *f, uint64_t end)
{
    uint64_t n = end - f->put < CHUNK ? end - f->put : CHUNK;
    for (uint64_t i = 0; i < n; i++, f->put++)
        memcpy(f->link.out + i * f->publish_len + f->body_at, &f->put, NUMBER_BYTES);
    f->link.out_len = n * f->publish_len;
    f->at = 0;
}

static void hear_confirms(struct filler *f)
{
    struct frame frame;
    link_fill(&f->link, MSG_DONTWAIT);
    while (link_cut(&f->link, &frame)) {
        if (frame.type != FRAME_METHOD)
            continue;
        union method m = link_method(&frame);
        if (m.id == METHOD_basic_nack)
            die("a publish was refused");
        if (m.id != METHOD_basic_ack)
            continue;
        /* One at a time a broker may confirm in any order; what counts is how many. */
        f->confirmed = m.basic_ack.multiple ? m.basic_ack.delivery_tag : f->confirmed + 1;
    }
}

/* Publishes up to number `end`, and waits until all of that is confirmed. */
static void fill_to(struct filler *f, uint64_t end)
{
    while (f->confirmed < end) {
        if (f->at == f->link.out_len && f->put < end && f->put + CHUNK <= f->confirmed + WINDOW)
            number_chunk(f, end);
        bool has_more = f->at < f->link.out_len;
        struct pollfd p = {.fd = f->link.fd, .events = has_more ? POLLIN | POLLOUT : POLLIN};
        if (poll(&p, 1, LINK_PATIENCE_MS) == 0)
            die("the broker neither takes nor confirms anything");
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            hear_confirms(f);
        if ((p.revents & POLLOUT) == 0)
            continue;
        ssize_t n = send(f->link.fd, f->link.out + f->at, f->link.out_len - f->at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            die("publishing: %s", strerror(errno));
        f->at += n > 0 ? (size_t)n : 0;
    }
}

static void print_step(const struct bench *b, uint64_t n, const struct usage *empty, const struct usage *u,
                       uint64_t began)
{
    double growth =
        n > b->begin_at && b->begin_at > 0 ? ((double)u->rss - (double)b->begin) / (double)(n - b->begin_at) : 0;
    printf("# %10llu %8.1f %9.1f %9.1f %9.2f %10.1f %8.2f\n", (unsigned long long)n, seconds_since(began),
           (double)u->rss / MB, (double)u->anon / MB, growth, disk_mb(b),
           n > 0 ? (double)(u->written - empty->written) / ((double)n * (double)b->o.size) : 0);
    fflush(stdout);
}

static void fill(struct bench *b)
{
    struct filler f;
    filler_init(&f, b);
    struct usage empty = process_usage(b->pid);
    printf("# %10s %8s %9s %9s %9s %10s %8s\n", "waiting", "seconds", "RSS MB", "anon MB", "B/message", "disk MB",
           "written");
    uint64_t began = now_ns();
    print_step(b, 0, &empty, &empty, began);
    for (uint64_t i = 1; i <= STEPS; i++) {
        uint64_t n = b->o.messages * i / STEPS;
        fill_to(&f, n);
        struct usage u = process_usage(b->pid);
        b->peak = u.rss > b->peak ? u.rss : b->peak;
        print_step(b, n, &empty, &u, began);
        if (i == 2) {
            b->begin = u.rss;
            b->begin_at = n;
        }
        b->end = u.rss;
    }
    printf("# %.0f published and confirmed a second\n", (double)b->o.messages / seconds_since(began));
    link_fini(&f.link);
    struct usage rest = process_settle(b->pid);
    printf("# at rest: %.1f MB resident, %.1f MB on disk\n", (double)rest.rss / MB, disk_mb(b));
    judge(b, "most that was resident", (double)b->peak / MB, (double)b->o.most_mb, "MB");
    judge(b, "growth from the second step on, a message",
          ((double)b->end - (double)b->begin) / (double)(b->o.messages - b->begin_at), (double)b->o.growth, "bytes");
}

/* ---- Emptying it */

struct drainer {
    struct link link;
    uint64_t tag, settled, next;
    bool is_strange; /* something came that was not next */
};

static void drainer_init(struct drainer *d, const struct bench *b, unsigned prefetch)
{
    *d = (struct drainer){0};
    link_init(&d->link, &b->to);
    link_reserve(&d->link, READ_ROOM);
    link_consume(&d->link, QUEUE, false, prefetch);
}

/* True if a message is whole with this frame. */
static bool take_frame(struct drainer *d, const struct frame *f)
{
    struct cursor c = cursor_over(f->payload);
    if (f->type == FRAME_METHOD) {
        if (cursor_u32(&c) == METHOD_basic_deliver) {
            cursor_shortstr(&c);
            d->tag = cursor_u64(&c);
        } else {
            link_method(f); /* it may say why this is the end */
        }
    }
    if (f->type != FRAME_BODY)
        return false;
    uint64_t number;
    memcpy(&number, f->payload.at, NUMBER_BYTES);
    if (number != d->next && !d->is_strange)
        printf("# message %llu came where %llu was expected\n", (unsigned long long)number,
               (unsigned long long)d->next);
    d->is_strange |= number != d->next;
    d->next++;
    return true;
}

static void settle(struct drainer *d)
{
    link_put(&d->link, 1, &(struct basic_ack){.id = METHOD_basic_ack, .delivery_tag = d->tag, .multiple = true});
    link_flush(&d->link);
    d->settled = d->tag;
}

/* How many messages a queue has that are ready. */
static uint64_t count_ready(const struct bench *b)
{
    struct link l;
    link_init(&l, &b->to);
    union method m = link_call(
        &l, 1, &(struct queue_declare){.id = METHOD_queue_declare, .queue = bytes_of_string(QUEUE), .passive = true},
        METHOD_queue_declare_ok);
    link_fini(&l);
    return m.queue_declare_ok.message_count;
}

static void drain(struct bench *b)
{
    struct drainer d;
    uint64_t began = now_ns(), most = 0;
    drainer_init(&d, b, PREFETCH);
    for (uint64_t look = b->o.messages / STEPS; d.next < b->o.messages;) {
        if (!link_wait(&d.link, POLLIN, LINK_PATIENCE_MS))
            break;
        link_fill(&d.link, MSG_DONTWAIT);
        for (struct frame f; link_cut(&d.link, &f);)
            if (take_frame(&d, &f) && (d.tag - d.settled >= ACKS || d.next == b->o.messages))
                settle(&d);
        if (d.next >= look) {
            struct usage u = process_usage(b->pid);
            most = u.rss > most ? u.rss : most;
            look += b->o.messages / STEPS;
        }
    }
    double seconds = seconds_since(began);
    tell(b, d.next == b->o.messages && !d.is_strange, "%llu of %llu messages came, in order",
         (unsigned long long)d.next, (unsigned long long)b->o.messages);
    uint64_t left =
        count_ready(b); /* answered after the last acknowledgement, which came before it or does not matter */
    tell(b, left == 0, "nothing is left: %llu messages", (unsigned long long)left);
    printf("# %.0f consumed and acknowledged a second, %.1f MB resident at most, %.1f MB on disk afterwards\n",
           (double)d.next / seconds, (double)most / MB, disk_mb(b));
    link_fini(&d.link);
}

/* ---- Restarts */

/* Launches the broker and looks at the first message, which stays in the queue. */
static void come_back(struct bench *b, const char *how, uint64_t most_ms)
{
    struct drainer d;
    uint64_t began = now_ns();
    process_launch(&b->broker, b->o.program, b->o.settings);
    double ready = seconds_since(began);
    b->to.port = b->broker.port;
    b->pid = b->broker.pid;
    drainer_init(&d, b, 1);
    while (d.next == 0) {
        struct frame f = link_next(&d.link);
        take_frame(&d, &f);
    }
    double first = seconds_since(began);
    link_fini(&d.link);
    struct usage u = process_settle(b->pid);
    printf("# after %s: ready after %.3f s, first message after %.3f s, %.1f MB resident at rest, %.1f MB on disk\n",
           how, ready, first, (double)u.rss / MB, disk_mb(b));
    judge(b, how, first * 1000, (double)most_ms, "ms");
    uint64_t left = count_ready(b);
    tell(b, left == b->o.messages && !d.is_strange, "%s: the queue has its messages, %llu", how,
         (unsigned long long)left);
}

static void restart(struct bench *b)
{
    process_kill(&b->broker);
    come_back(b, "a start after kill -9", b->o.after_kill_ms);
    uint64_t began = now_ns();
    process_end(&b->broker);
    printf("# stopped in %.3f s\n", seconds_since(began));
    come_back(b, "a start after a clean stop", b->o.after_stop_ms);
}

/* ---- All of it */

static void delete_queue(const struct bench *b)
{
    struct link l;
    link_init(&l, &b->to);
    link_call(&l, 1, &(struct queue_delete){.id = METHOD_queue_delete, .queue = bytes_of_string(QUEUE)},
              METHOD_queue_delete_ok);
    link_fini(&l);
}

static void run(struct bench *b)
{
    const struct options *o = &b->o;
    if (o->program != NULL) {
        process_start(&b->broker, o->program, o->settings);
        if (!folder_is_on_disk(b->broker.dir))
            die("%s is not on a disk; BENCH_DIR may name a folder that is", b->broker.dir);
        b->to = (struct link_to){.host = "127.0.0.1", .port = b->broker.port};
        b->pid = b->broker.pid;
    } else {
        b->to = (struct link_to){.host = o->host, .port = (unsigned)o->port};
        b->pid = (pid_t)o->pid;
    }
    printf("# %llu messages of %llu bytes, %s\n", (unsigned long long)o->messages, (unsigned long long)o->size,
           o->is_transient ? "transient" : "persistent");
    fill(b);
    if (o->program != NULL && !o->is_transient)
        restart(b);
    drain(b);
    delete_queue(b);
    if (o->program != NULL)
        process_stop(&b->broker);
    printf("1..%u\n# PASS:  %u\n# FAIL:  %u\n", b->tests, b->tests - b->broken, b->broken);
}

static const char usage[] =
    "usage: bench_backlog {MILLRACED | --peer HOST:PORT --pid PID} [--messages N] [--size BYTES]\n"
    "    [--set KEY=VALUE] [--queue-type TYPE] [--transient]\n"
    "    [--most MB] [--growth BYTES] [--after-kill MS] [--after-stop MS]";

static uint64_t parse(const char *option, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(optarg, &end, 10);
    if (errno != 0 || *end != '\0' || end == optarg || n < least || n > most)
        die("--%s takes a number from %llu to %llu", option, (unsigned long long)least, (unsigned long long)most);
    return n;
}

static void parse_options(struct options *o, int argc, char **argv)
{
    const struct {
        uint64_t *to, least, most;
    } numbers[] = {
        {&o->messages, STEPS, MESSAGES_MAX},
        {&o->size, NUMBER_BYTES, SIZE_MAX_BYTES},
        {&o->pid, 1, INT32_MAX},
        {&o->most_mb, 1, BOUND_MAX},
        {&o->growth, 1, BOUND_MAX},
        {&o->after_kill_ms, 1, BOUND_MAX},
        {&o->after_stop_ms, 1, BOUND_MAX},
    };
    const struct option known[] = {
        {"messages", required_argument, NULL, 0},   {"size", required_argument, NULL, 0},
        {"pid", required_argument, NULL, 0},        {"most", required_argument, NULL, 0},
        {"growth", required_argument, NULL, 0},     {"after-kill", required_argument, NULL, 0},
        {"after-stop", required_argument, NULL, 0}, {"peer", required_argument, NULL, 'h'},
        {"set", required_argument, NULL, 's'},      {"queue-type", required_argument, NULL, 'q'},
        {"transient", no_argument, NULL, 't'},      {0},
    };
    for (int c, at = 0; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
        if (c == 0)
            *numbers[at].to = parse(known[at].name, numbers[at].least, numbers[at].most);
        else if (c == 'h' && sscanf(optarg, "%63[0-9.]:%" SCNu64, o->host, &o->port) == 2)
            continue;
        else if (c == 's' && o->settings_count < SETTINGS_MAX)
            o->settings[o->settings_count++] = optarg;
        else if (c == 'q')
            o->type = optarg;
        else if (c == 't')
            o->is_transient = true;
        else
            die("%s", usage);
    }
    if (optind < argc)
        o->program = argv[optind++];
    if (optind < argc || (o->program == NULL) != (o->port > 0 && o->pid > 0))
        die("%s", usage);
}

int main(int argc, char **argv)
{
    static struct bench b = {.o = {.messages = 10000000, .size = 100}};
    parse_options(&b.o, argc, argv);
    run(&b);
    return b.broken > 0;
}
