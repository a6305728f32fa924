/* A load generator for any AMQP 0-9-1 broker: publishes on one connection, consumes on another, and prints in one line
 * what came through and what it cost the broker.
 *
 * Built to be cheaper than any broker: a publish is a copy of a prepared one, hundreds of them go with one write, and
 * the consumer counts frames where they lie.  One thread publishes, one consumes.  What is published and not yet
 * consumed is bounded, so the broker's memory is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/link_tls.h"
#include "broker/perf/process.h"

enum {
    PAIRS_MAX = 64,
    CHUNK = 256 << 10,        /* bytes of prepared publishes, the most that one write takes */
    READ_ROOM = 1 << 20,      /* of a consumer */
    BACKLOG_MAX = 200000,     /* messages that wait in all queues together … */
    BACKLOG_BYTES = 64 << 20, /* … and bytes of them */
    CONFIRM_MAX = 65536,      /* the largest window of unconfirmed publishes */
    BODY_MAX = 64 << 20,
    SECONDS_MAX = 3600,
    COUNT_MAX = 1000000000,
    SETTINGS_MAX = 16,
    WARM_UP_MS = 500,
    TICK_MS = 50, /* how soon a thread sees that it shall stop */
};

struct options {
    const char *host;
    uint64_t port, size, seconds, acks, prefetch, window, pid, pairs, count;
    bool durable, persistent, by_thread;
    const char *ca;       /* TLS, if it is signed by this; NULL: plain */
    const char *protocol; /* the version of TLS, "1.2" or "1.3" */
    struct link_tls *tls; /* owned */
    const char *type;     /* x-queue-type; NULL: the broker's default */
    const char *program;  /* a broker to start; NULL: one is there */
    const char *settings[SETTINGS_MAX + 1];
    unsigned settings_count;
};

/* A queue with its publisher and its consumer. */
struct pair {
    char queue[32];
    /* The publishing thread's. */
    struct link publisher;
    uint8_t *publishes; /* owned; whole publishes, one after another */
    size_t publishes_len;
    uint64_t sent;      /* bytes */
    bool *is_confirmed; /* owned; by sequence number, modulo CONFIRM_MAX */
    uint64_t confirmed; /* every publish up to this one */
    /* The consuming thread's. */
    struct link consumer __attribute__((aligned(64)));
    uint64_t body_left, tag;
    uint64_t settled; /* tags that were acknowledged */
    bool is_in_body;
    _Atomic uint64_t consumed; /* messages; read by the publishing thread */
};

struct bench {
    struct options o;
    struct pair *pairs; /* owned */
    size_t publish_len; /* bytes of one publish on the wire */
    uint64_t backlog;   /* messages a queue may hold */
    int progress;       /* eventfd: rung for a publisher that waits for consumers */
    _Atomic bool is_waiting, is_over;
};

/* ---- Publishing */

/* How many more bytes may go out now; a few at a time only if they are the last ones, so that writes stay large. */
static uint64_t may_send(const struct bench *b, const struct pair *p)
{
    uint64_t limit = atomic_load(&p->consumed) + b->backlog, least = b->backlog / 4, sent = p->sent / b->publish_len;
    if (b->o.window > 0 && p->confirmed + b->o.window < limit) {
        limit = p->confirmed + b->o.window;
        least = b->o.window / 4;
    }
    if (b->o.count > 0 && limit >= b->o.count) {
        limit = b->o.count;
        least = 0;
    }
    return limit > sent + least ? limit * b->publish_len - p->sent : 0;
}

static void note_confirm(struct pair *p, uint64_t tag, bool multiple)
{
    if (tag <= p->confirmed)
        return;
    if (tag > p->confirmed + CONFIRM_MAX)
        die("a confirm of %llu, which was never published", (unsigned long long)tag);
    p->is_confirmed[tag % CONFIRM_MAX] = true;
    for (uint64_t t = p->confirmed + 1; multiple && t < tag; t++)
        p->is_confirmed[t % CONFIRM_MAX] = true;
    while (p->is_confirmed[(p->confirmed + 1) % CONFIRM_MAX])
        p->is_confirmed[++p->confirmed % CONFIRM_MAX] = false;
}

/* Whatever a broker says to a publisher: confirms, or the end. */
static void hear(struct pair *p)
{
    struct frame f;
    do {
        link_fill(&p->publisher, MSG_DONTWAIT);
        while (link_cut(&p->publisher, &f)) {
            if (f.type != FRAME_METHOD)
                continue;
            union method m = link_method(&f);
            if (m.id == METHOD_basic_ack)
                note_confirm(p, m.basic_ack.delivery_tag, m.basic_ack.multiple);
            if (m.id == METHOD_basic_nack)
                die("a publish was refused");
        }
    } while (link_is_pending(&p->publisher));
}

/* One write of one publisher; false if it could not. */
static bool push(struct bench *b, struct pair *p)
{
    size_t at = p->sent % p->publishes_len, n = p->publishes_len - at;
    uint64_t may = may_send(b, p);
    if (may < n)
        n = may;
    if (n == 0)
        return false;
    ssize_t sent = link_send(&p->publisher, p->publishes + at, n);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        hear(p); /* it may have said why */
        die("publishing: %s", strerror(errno));
    }
    p->sent += sent > 0 ? (uint64_t)sent : 0;
    return sent > 0;
}

static void wait_to_publish(struct bench *b)
{
    struct pollfd fds[PAIRS_MAX + 1] = {{.fd = b->progress, .events = POLLIN}};
    uint64_t rings;
    atomic_store(&b->is_waiting, true);
    for (unsigned i = 0; i < b->o.pairs; i++)
        fds[i + 1] = (struct pollfd){.fd = b->pairs[i].publisher.fd,
                                     .events = may_send(b, &b->pairs[i]) > 0 ? POLLIN | POLLOUT : POLLIN};
    poll(fds, (nfds_t)b->o.pairs + 1, TICK_MS);
    atomic_store(&b->is_waiting, false);
    if ((fds[0].revents & POLLIN) != 0 && read(b->progress, &rings, sizeof rings) < 0)
        die("eventfd: %s", strerror(errno));
    for (unsigned i = 0; i < b->o.pairs; i++)
        if ((fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            hear(&b->pairs[i]);
}

static void *publish(void *arg)
{
    struct bench *b = arg;
    while (!atomic_load_explicit(&b->is_over, memory_order_relaxed)) {
        bool any = false;
        for (unsigned i = 0; i < b->o.pairs; i++)
            any |= push(b, &b->pairs[i]);
        if (!any)
            wait_to_publish(b);
    }
    return NULL;
}

/* ---- Consuming */

/* A frame that came to a consumer; true if a message is whole with it. */
static bool take_frame(struct pair *p, const struct frame *f)
{
    struct cursor c = cursor_over(f->payload);
    if (f->type == FRAME_BODY) {
        p->body_left -= f->payload.len;
        return p->is_in_body && p->body_left == 0;
    }
    if (f->type == FRAME_HEADER) {
        cursor_u32(&c);
        p->body_left = cursor_u64(&c);
        p->is_in_body = p->body_left > 0;
        return p->body_left == 0;
    }
    if (f->type != FRAME_METHOD)
        return false;
    if (cursor_u32(&c) == METHOD_basic_deliver) {
        cursor_shortstr(&c);
        p->tag = cursor_u64(&c);
    } else if (link_method(f).id == METHOD_basic_cancel) {
        die("the consumer was cancelled");
    }
    return false;
}

/* Takes what is in the buffer and acknowledges it; answers how many messages that were. */
static uint64_t take_all(const struct options *o, struct pair *p)
{
    struct frame f;
    uint64_t n = 0, acks = o->acks;
    while (link_cut(&p->consumer, &f)) {
        if (!take_frame(p, &f))
            continue;
        n++;
        if (acks > 0 && p->tag - p->settled >= acks) {
            link_put(&p->consumer, 1,
                     &(struct basic_ack){.id = METHOD_basic_ack, .delivery_tag = p->tag, .multiple = acks > 1});
            p->settled = p->tag;
        }
    }
    if (p->consumer.out_len > 0)
        link_flush(&p->consumer);
    return n;
}

static bool pull(struct bench *b, struct pair *p, int flags)
{
    if (link_fill(&p->consumer, flags) == 0)
        return false;
    uint64_t n = take_all(&b->o, p);
    if (n > 0) {
        uint64_t one = 1;
        atomic_fetch_add(&p->consumed, n);
        if (atomic_exchange(&b->is_waiting, false) && write(b->progress, &one, sizeof one) < 0)
            die("eventfd: %s", strerror(errno));
    }
    return true;
}

static void wait_to_consume(const struct bench *b)
{
    struct pollfd fds[PAIRS_MAX];
    for (unsigned i = 0; i < b->o.pairs; i++)
        fds[i] = (struct pollfd){.fd = b->pairs[i].consumer.fd, .events = POLLIN};
    poll(fds, (nfds_t)b->o.pairs, TICK_MS);
}

static void *consume(void *arg)
{
    struct bench *b = arg;
    int flags = b->o.pairs == 1 ? 0 : MSG_DONTWAIT; /* one may wait in its read */
    while (!atomic_load_explicit(&b->is_over, memory_order_relaxed)) {
        bool any = false;
        for (unsigned i = 0; i < b->o.pairs; i++)
            any |= pull(b, &b->pairs[i], flags);
        if (!any && b->o.pairs > 1)
            wait_to_consume(b);
    }
    return NULL;
}

/* ---- Before and after */

static void fill_publishes(struct bench *b, struct pair *p)
{
    uint8_t *body = alloc_zeroed(b->o.size + 1);
    struct link_message m = {
        .routing_key = bytes_of_string(p->queue), .body = bytes_of(body, b->o.size), .persistent = b->o.persistent};
    struct link *l = &p->publisher;
    do
        link_put_message(l, 1, &m);
    while (l->out_len < CHUNK);
    p->publishes = alloc_copy(l->out, l->out_len);
    p->publishes_len = l->out_len;
    l->out_len = 0;
    link_put_message(l, 1, &m);
    b->publish_len = l->out_len;
    l->out_len = 0;
    free(body);
}

static void prepare(struct bench *b, struct pair *p, unsigned i)
{
    const struct options *o = &b->o;
    struct link_to to = {.host = o->host, .port = (unsigned)o->port, .tls = o->tls};
    struct timeval tick = {.tv_usec = TICK_MS * 1000};
    snprintf(p->queue, sizeof p->queue, "bench.%d.%02u", (int)getpid(), i);
    link_init(&p->publisher, &to);
    link_init(&p->consumer, &to);
    link_reserve(&p->consumer, READ_ROOM);
    if (o->durable)
        link_declare_durable(&p->consumer, p->queue, o->type, false);
    else
        link_declare(&p->consumer, p->queue, false, 0);
    link_consume(&p->consumer, p->queue, o->acks == 0, (unsigned)o->prefetch);
    setsockopt(p->consumer.fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
    if (o->window > 0) {
        p->is_confirmed = alloc_zeroed(CONFIRM_MAX * sizeof *p->is_confirmed);
        link_call(&p->publisher, 1, &(struct confirm_select){.id = METHOD_confirm_select}, METHOD_confirm_select_ok);
    }
    fill_publishes(b, p);
}

static void finish(const struct options *o, struct pair *p)
{
    struct link l;
    link_fini(&p->publisher);
    link_fini(&p->consumer);
    link_init(&l, &(struct link_to){.host = o->host, .port = (unsigned)o->port, .tls = o->tls});
    link_call(&l, 1, &(struct queue_delete){.id = METHOD_queue_delete, .queue = bytes_of_string(p->queue)},
              METHOD_queue_delete_ok);
    link_fini(&l);
    free(p->publishes);
    free(p->is_confirmed);
}

struct sample {
    uint64_t ns, published, consumed, received, client_ns;
    struct usage broker;
    struct thread_usage threads[THREADS_MAX];
    unsigned threads_count;
};

static struct sample sample(const struct bench *b)
{
    struct sample s = {.ns = now_ns()};
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    s.client_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    for (unsigned i = 0; i < b->o.pairs; i++) {
        s.published += __atomic_load_n(&b->pairs[i].sent, __ATOMIC_RELAXED) / b->publish_len;
        s.consumed += atomic_load(&b->pairs[i].consumed);
        s.received += __atomic_load_n(&b->pairs[i].publisher.received, __ATOMIC_RELAXED) +
                      __atomic_load_n(&b->pairs[i].consumer.received, __ATOMIC_RELAXED);
    }
    if (b->o.pid > 0)
        s.broker = process_usage((pid_t)b->o.pid);
    if (b->o.pid > 0 && b->o.by_thread)
        s.threads_count = process_threads((pid_t)b->o.pid, s.threads);
    return s;
}

/* Until the time is over, or every message has come through. */
static void wait_for_end(const struct bench *b)
{
    uint64_t until = now_ns() + b->o.seconds * 1000000000, all = b->o.count * b->o.pairs;
    struct sample s;
    do {
        pause_ms(b->o.count > 0 ? 2 : TICK_MS);
        s.consumed = 0;
        for (unsigned i = 0; i < b->o.pairs; i++)
            s.consumed += atomic_load(&b->pairs[i].consumed);
    } while (now_ns() < until && (all == 0 || s.consumed < all));
    if (s.consumed < all)
        die("only %llu of %llu messages came in time", (unsigned long long)s.consumed, (unsigned long long)all);
}

static void print(const struct options *o, const struct sample *from, const struct sample *to)
{
    double seconds = (double)(to->ns - from->ns) / 1e9;
    double in = (double)(to->published - from->published), out = (double)(to->consumed - from->consumed);
    double messages = in + out > 0 ? (in + out) / 2 : 1;
    double bytes = in > 0 && o->size > 0 ? in * (double)o->size : 1;
    double written = (double)(to->broker.written - from->broker.written);
    double filed = (double)(to->broker.said - from->broker.said) - (double)(to->received - from->received);
    printf("%9.0f published/s %9.0f consumed/s %7.0f broker-ns/message %7.1f MiB-RSS %6.0f client-ns/message "
           "%5.2f written/published %5.2f filed/published\n",
           in / seconds, out / seconds, (double)(to->broker.cpu_ns - from->broker.cpu_ns) / messages,
           (double)to->broker.rss / (1 << 20), (double)(to->client_ns - from->client_ns) / messages, written / bytes,
           filed > 0 ? filed / bytes : 0);
    for (unsigned i = 0; i < to->threads_count && i < from->threads_count; i++)
        if (to->threads[i].id == from->threads[i].id)
            printf("          %-16s %7.0f ns/message, busy %3.0f %%\n", to->threads[i].name,
                   (double)(to->threads[i].cpu_ns - from->threads[i].cpu_ns) / messages,
                   (double)(to->threads[i].cpu_ns - from->threads[i].cpu_ns) / seconds / 1e7);
}

static void run(struct bench *b)
{
    const struct options *o = &b->o;
    pthread_t publisher, consumer;
    for (unsigned i = 0; i < o->pairs; i++)
        prepare(b, &b->pairs[i], i);
    uint64_t backlog = BACKLOG_BYTES / (b->publish_len + 1) + 1;
    b->backlog = (backlog < BACKLOG_MAX ? backlog : BACKLOG_MAX) / o->pairs + 1;
    b->progress = eventfd(0, EFD_CLOEXEC);

    struct sample from = sample(b);
    if (b->progress < 0 || pthread_create(&consumer, NULL, consume, b) != 0 ||
        pthread_create(&publisher, NULL, publish, b) != 0)
        die("no thread: %s", strerror(errno));
    if (o->count == 0) {
        pause_ms(WARM_UP_MS);
        from = sample(b);
    }
    wait_for_end(b);
    struct sample to = sample(b);
    atomic_store(&b->is_over, true);
    pthread_join(publisher, NULL);
    pthread_join(consumer, NULL);
    for (unsigned i = 0; i < o->pairs; i++)
        finish(o, &b->pairs[i]);
    close(b->progress);
    print(o, &from, &to);
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

static void add_setting(struct options *o)
{
    if (o->settings_count == SETTINGS_MAX)
        die("at most %d settings", SETTINGS_MAX);
    o->settings[o->settings_count++] = optarg;
}

static const char usage[] =
    "usage: bench_broker [--host A] [--port N] [--pid BROKER | --start PROGRAM [--set KEY=VALUE]…]\n"
    "    [--size BYTES] [--seconds S] [--count MESSAGES] [--queues N] [--confirm WINDOW] [--acks N]\n"
    "    [--prefetch N] [--durable] [--persistent] [--queue-type TYPE] [--by-thread]\n"
    "    [--tls CA-FILE [--tls-version 1.2|1.3]]\n"
    "persistent messages and a queue type want durable queues; written: pages that go to disk, filed: what was written "
    "to\n"
    "files; both for each byte of a body that was published";

static void parse_options(struct options *o, int argc, char **argv)
{
    const struct {
        uint64_t *to, least, most;
    } numbers[] = {
        {&o->port, 1, 65535},          {&o->pid, 1, INT32_MAX},       {&o->size, 0, BODY_MAX},
        {&o->seconds, 1, SECONDS_MAX}, {&o->count, 1, COUNT_MAX},     {&o->pairs, 1, PAIRS_MAX},
        {&o->acks, 0, UINT16_MAX},     {&o->prefetch, 0, UINT16_MAX}, {&o->window, 0, CONFIRM_MAX / 2},
    };
    const struct option known[] = {
        {"port", required_argument, NULL, 0},
        {"pid", required_argument, NULL, 0},
        {"size", required_argument, NULL, 0},
        {"seconds", required_argument, NULL, 0},
        {"count", required_argument, NULL, 0},
        {"queues", required_argument, NULL, 0},
        {"acks", required_argument, NULL, 0},
        {"prefetch", required_argument, NULL, 0},
        {"confirm", required_argument, NULL, 0},
        {"host", required_argument, NULL, 'h'},
        {"start", required_argument, NULL, 'b'},
        {"set", required_argument, NULL, 's'},
        {"persistent", no_argument, NULL, 'p'},
        {"durable", no_argument, NULL, 'd'},
        {"by-thread", no_argument, NULL, 'T'},
        {"tls", required_argument, NULL, 'c'},
        {"tls-version", required_argument, NULL, 'v'},
        {"queue-type", required_argument, NULL, 't'},
        {0},
    };
    for (int c, at = 0; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
        if (c == 0)
            *numbers[at].to = parse(known[at].name, numbers[at].least, numbers[at].most);
        else if (c == 'h')
            o->host = optarg;
        else if (c == 'b')
            o->program = optarg;
        else if (c == 's')
            add_setting(o);
        else if (c == 'p')
            o->persistent = o->durable = true;
        else if (c == 'c')
            o->ca = optarg;
        else if (c == 'v')
            o->protocol = optarg;
        else if (c == 'T')
            o->by_thread = true;
        else if (c == 'd')
            o->durable = true;
        else if (c == 't')
            o->type = optarg, o->durable = true;
        else
            die("%s", usage);
    }
    if (o->prefetch > 0 && o->acks > o->prefetch)
        o->acks = o->prefetch; /* or both would wait for ever */
}

int main(int argc, char **argv)
{
    struct bench b = {
        .o = {.host = "127.0.0.1", .port = 5672, .size = 16, .seconds = 5, .pairs = 1, .protocol = "1.3"}};
    parse_options(&b.o, argc, argv);
    if (b.o.ca != NULL)
        b.o.tls = link_tls_create(b.o.ca, b.o.protocol);
    b.pairs = aligned_alloc(64, PAIRS_MAX * sizeof *b.pairs);
    if (b.pairs == NULL)
        die("no memory");
    memset(b.pairs, 0, PAIRS_MAX * sizeof *b.pairs);
    struct process broker;
    if (b.o.program != NULL) {
        process_start(&broker, b.o.program, b.o.settings);
        if (b.o.durable && !folder_is_on_disk(broker.dir))
            die("%s is not on a disk; BENCH_DIR may name a folder that is", broker.dir);
        b.o.port = broker.port;
        b.o.pid = (uint64_t)broker.pid;
    }
    run(&b);
    if (b.o.program != NULL)
        process_stop(&broker);
    link_tls_destroy(b.o.tls);
    free(b.pairs);
    return 0;
}
