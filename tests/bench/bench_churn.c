/* What coming and going costs a broker: connections with their whole handshake, or transient queues, one after another.
 *
 *   bench_churn connections|queues [--port N --pid BROKER | --start PROGRAM [--set KEY=VALUE]…] [--count N] [--flight
 * N]
 *               [--kind exclusive|auto-delete|plain]
 *
 * A connection: TCP, the handshake, a channel, connection.close and its answer.  A queue: declare, delete.
 * --flight: so many connections, or so many queues of one connection, are under way at once.  One thread; everything
 * that it sends is prepared, and what comes is only counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"
#include "broker/perf/link.h"
#include "broker/perf/process.h"
#include "codec/table.h"

enum { STEPS = 5, TEXT_ROOM = 1024, FLIGHT_MAX = 4096, IN_ROOM = 4096, SETTINGS_MAX = 16, EVENTS = 256 };

struct options {
    const char *what, *kind;
    unsigned long port, pid, count, flight;
    const char *program;
    const char *settings[SETTINGS_MAX + 1];
    unsigned n_settings;
};

/* ---- Connections */

/* What a client says, and the method that it waits for then. */
struct step {
    uint8_t text[TEXT_ROOM];
    size_t len;
    enum method_id answer;
};

struct visit {
    int fd;
    unsigned step; /* whose answer it waits for */
    size_t have;
    uint8_t in[IN_ROOM];
};

static void step_add(struct step *s, unsigned channel, const void *method)
{
    struct pen p = pen_over(s->text + s->len, sizeof s->text - s->len);
    uint8_t *mark = frame_open(&p, FRAME_METHOD, (uint16_t)channel);
    method_encode(&p, method);
    frame_close(&p, mark);
    s->len += pen_written(&p).len;
}

static void prepare(struct step steps[STEPS])
{
    uint8_t room[TEXT_ROOM];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("product"), BYTES("millrace bench"));
    uint8_t *mark = table_open(&p, BYTES("capabilities"), 'F');
    table_put_bool(&p, BYTES("publisher_confirms"), true);
    table_put_bool(&p, BYTES("consumer_cancel_notify"), true);
    table_put_bool(&p, BYTES("authentication_failure_close"), true);
    table_close(&p, mark);

    memcpy(steps[0].text, "AMQP\0\0\11\1", 8);
    steps[0].len = 8;
    steps[0].answer = METHOD_connection_start;
    step_add(&steps[1], 0,
             &(struct connection_start_ok){.id = METHOD_connection_start_ok,
                                           .client_properties = pen_written(&p),
                                           .mechanism = BYTES("PLAIN"),
                                           .response = BYTES("\0guest\0guest"),
                                           .locale = BYTES("en_US")});
    steps[1].answer = METHOD_connection_tune;
    step_add(&steps[2], 0,
             &(struct connection_tune_ok){
                 .id = METHOD_connection_tune_ok, .channel_max = 2047, .frame_max = LINK_FRAME_MAX, .heartbeat = 60});
    step_add(&steps[2], 0, &(struct connection_open){.id = METHOD_connection_open, .virtual_host = BYTES("/")});
    steps[2].answer = METHOD_connection_open_ok;
    step_add(&steps[3], 1, &(struct channel_open){.id = METHOD_channel_open});
    steps[3].answer = METHOD_channel_open_ok;
    step_add(&steps[4], 0, &(struct connection_close){.id = METHOD_connection_close, .reply_code = 200});
    steps[4].answer = METHOD_connection_close_ok;
}

static void visit_say(struct visit *v, const struct step *steps)
{
    const struct step *s = &steps[v->step];
    if (send(v->fd, s->text, s->len, MSG_NOSIGNAL) != (ssize_t)s->len)
        die("write: %s", strerror(errno));
}

static void visit_begin(struct visit *v, const struct sockaddr_in *to, const struct step *steps, int poller)
{
    int on = 1;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    v->step = 0;
    v->have = 0;
    if (v->fd < 0 || connect(v->fd, (const struct sockaddr *)to, sizeof *to) != 0)
        die("connect: %s", strerror(errno));
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    visit_say(v, steps);
    epoll_ctl(poller, EPOLL_CTL_ADD, v->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = v});
}

/* True: it is over. */
static bool visit_hear(struct visit *v, const struct step *steps)
{
    ssize_t n = recv(v->fd, v->in + v->have, sizeof v->in - v->have, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        die("read: %s", n == 0 ? "the broker has closed the connection" : strerror(errno));
    v->have += n > 0 ? (size_t)n : 0;
    struct bytes all = bytes_of(v->in, v->have);
    struct frame f;
    for (size_t used; frame_cut(all, UINT32_MAX, &f, &used) == FRAME_OK;) {
        all = bytes_of(all.at + used, all.len - used);
        if (f.type != FRAME_METHOD || link_method(&f).id != steps[v->step].answer)
            continue;
        if (++v->step == STEPS) {
            close(v->fd);
            return true;
        }
        visit_say(v, steps);
    }
    memmove(v->in, all.at, all.len);
    v->have = all.len;
    return false;
}

static void churn_connections(const struct options *o)
{
    struct step steps[STEPS] = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    struct visit *visits = alloc_zeroed(o->flight * sizeof *visits);
    struct epoll_event events[EVENTS];
    unsigned long begun = 0, over = 0;
    int poller = epoll_create1(EPOLL_CLOEXEC);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    prepare(steps);
    for (; begun < o->flight && begun < o->count; begun++)
        visit_begin(&visits[begun], &to, steps, poller);
    while (over < o->count) {
        int n = epoll_wait(poller, events, EVENTS, LINK_PATIENCE_MS);
        if (n <= 0)
            die("the broker does not answer");
        for (int i = 0; i < n; i++) {
            struct visit *v = events[i].data.ptr;
            if (!visit_hear(v, steps))
                continue;
            over++;
            if (begun < o->count) {
                visit_begin(v, &to, steps, poller);
                begun++;
            }
        }
    }
    close(poller);
    free(visits);
}

/* ---- Queues */

static void put_queue(struct link *l, const struct options *o, unsigned long i)
{
    char text[48];
    snprintf(text, sizeof text, "bench.churn.%lu", i);
    struct bytes name = bytes_of_string(text);
    link_put(l, 1,
             &(struct queue_declare){.id = METHOD_queue_declare,
                                     .queue = name,
                                     .exclusive = strcmp(o->kind, "exclusive") == 0,
                                     .auto_delete = strcmp(o->kind, "auto-delete") == 0});
    link_put(l, 1, &(struct queue_delete){.id = METHOD_queue_delete, .queue = name});
}

/* Half of what may be under way is written when half of it has come back. */
static void churn_queues(const struct options *o)
{
    struct link l;
    struct frame f;
    link_init(&l, &(struct link_to){.host = "127.0.0.1", .port = (unsigned)o->port});
    unsigned long half = o->flight > 1 ? o->flight / 2 : 1, asked = 0, gone = 0;
    while (gone < o->count) {
        while (asked < o->count && asked - gone <= o->flight - half) {
            for (unsigned long i = 0; i < half && asked < o->count; i++)
                put_queue(&l, o, asked++);
            link_flush(&l);
        }
        f = link_next(&l);
        gone += f.type == FRAME_METHOD && link_method(&f).id == METHOD_queue_delete_ok;
    }
    link_fini(&l);
}

/* ---- The program */

static unsigned long number(void)
{
    char *end;
    unsigned long n = strtoul(optarg, &end, 10);
    if (*end != '\0' || n == 0 || n > INT32_MAX)
        die("not a number: %s", optarg);
    return n;
}

static void parse_options(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'n'},  {"pid", required_argument, NULL, 'i'},
        {"start", required_argument, NULL, 'b'}, {"set", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'c'}, {"flight", required_argument, NULL, 'f'},
        {"kind", required_argument, NULL, 'k'},  {0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'n':
            o->port = number();
            break;
        case 'i':
            o->pid = number();
            break;
        case 'b':
            o->program = optarg;
            break;
        case 'c':
            o->count = number();
            break;
        case 'f':
            o->flight = number();
            break;
        case 'k':
            o->kind = optarg;
            break;
        case 's':
            if (o->n_settings == SETTINGS_MAX)
                die("at most %d settings", SETTINGS_MAX);
            o->settings[o->n_settings++] = optarg;
            break;
        default:
            die("usage: see the head of bench_churn.c");
        }
    }
    o->what = optind < argc ? argv[optind] : "";
    if (o->flight > FLIGHT_MAX)
        o->flight = FLIGHT_MAX;
}

int main(int argc, char **argv)
{
    struct options o = {.kind = "exclusive", .port = 5672, .count = 20000, .flight = 64};
    struct process broker;
    struct usage before = {0}, after = {0};
    parse_options(&o, argc, argv);
    bool is_queues = strcmp(o.what, "queues") == 0;
    if (!is_queues && strcmp(o.what, "connections") != 0)
        die("connections or queues?");
    if (o.program != NULL) {
        process_start(&broker, o.program, o.settings);
        o.port = broker.port;
        o.pid = (unsigned long)broker.pid;
    }
    if (o.pid > 0)
        before = process_usage((pid_t)o.pid);
    uint64_t began = now_ns();
    if (is_queues)
        churn_queues(&o);
    else
        churn_connections(&o);
    uint64_t ns = now_ns() - began;
    if (o.pid > 0)
        after = process_usage((pid_t)o.pid);
    printf("%9.0f %s/s %9.0f broker-ns each %7.1f MiB-RSS\n", (double)o.count / ((double)ns / 1e9), o.what,
           (double)(after.cpu_ns - before.cpu_ns) / (double)o.count, (double)after.rss / (1 << 20));
    if (o.program != NULL)
        process_stop(&broker);
    return 0;
}
