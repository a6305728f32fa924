/* A stream, and a queue beside it: how fast it is written, and how fast five consumers read it at once, each from an
 * offset of its own; what that costs in memory; and whether everything is there, at its offset, whatever happened.
 *
 *   bench_stream MILLRACED [OPTION…]      a broker of its own, in a folder that is thrown away
 *
 *   --messages N (10,000,000)  --size BYTES (100)  --set KEY=VALUE
 *   --kills N      instead: kill -9, so often, while one writes and the five read
 *   --keep BYTES   … with x-max-length-bytes, and segments of a tenth of it
 *   --no-queue     without the queue
 *   --most MB      a bound of what is resident; 1 is the exit status if it is broken
 *
 * Every message is published with a confirm and carries its number, which must be its offset.  The lines that begin
 * with "ok" or "not ok" are TAP, and scripts/sum-results counts the sums at the end.
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
#include "codec/properties.h"
#include "codec/table.h"

enum {
    MESSAGES_MAX = 100000000,
    SIZE_MAX_BYTES = 100000, /* a body is one frame */
    NUMBER_BYTES = 8,        /* a message's number, at the beginning of its body */
    CHUNK = 256,             /* publishes in one write */
    WINDOW = 16384,          /* publishes that are not confirmed yet */
    ACKS = 500,              /* deliveries that are acknowledged at once */
    PREFETCH = 4000,         /* and that may be out */
    READ_ROOM = 1 << 18,
    READERS = 5,
    MB = 1000000,
    KILLS_MAX = 1000,
    SETTINGS_MAX = 16,
    PARTS = 10,           /* segments of what is kept */
    HEADER_FIXED = 12,    /* of a content header: class, weight, body size */
    LIFE_MS = 300,        /* of a broker that is killed, at least … */
    LIFE_RANGE_MS = 1500, /* … and so much more at most */
    NS_PER_MS = 1000000,
    SAMPLE_MS = 200,
};

static const char STREAM[] = "bench.stream", QUEUE[] = "bench.beside";

/* Where each begins, in tenths of all. */
static const unsigned begin_at[READERS] = {0, 1, 3, 5, 8};

struct options {
    const char *program;
    const char *settings[SETTINGS_MAX + 1];
    unsigned settings_count;
    uint64_t messages, size, kills, keep, most_mb;
    bool no_queue;
};

/* Who reads: messages must come in order, each at its offset. */
struct reader {
    struct link link;
    bool is_stream;
    uint64_t tag, settled, next, read, skipped;
    uint64_t offset; /* of the message whose body comes next */
    bool is_strange;
};

struct writer {
    struct link link;
    size_t publish_len, body_at; /* of one publish; where in it the body begins */
    uint64_t put, confirmed;     /* publishes that were prepared; every one up to this one is safe */
    uint64_t base;               /* of which the first on this link has this number */
    size_t at;                   /* bytes of the output that are sent */
};

struct bench {
    struct options o;
    struct process broker;
    struct link_to to;
    struct writer writer;
    struct reader readers[READERS];
    uint64_t peak, sampled_ns, random;
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

static double seconds_since(uint64_t began)
{
    return (double)(now_ns() - began) / 1e9;
}

static double disk_mb(const struct bench *b)
{
    return (double)folder_bytes(b->broker.dir) / MB;
}

static void sample(struct bench *b)
{
    if (now_ns() - b->sampled_ns < (uint64_t)SAMPLE_MS * NS_PER_MS)
        return;
    struct usage u = process_usage(b->broker.pid);
    b->peak = u.rss > b->peak ? u.rss : b->peak;
    b->sampled_ns = now_ns();
}

/* ---- Writing */

static void declare(struct bench *b, struct link *l, bool is_stream)
{
    uint8_t room[200];
    struct pen p = pen_over(room, sizeof room);
    if (is_stream)
        table_put_string(&p, BYTES("x-queue-type"), BYTES("stream"));
    if (is_stream && b->o.keep > 0) {
        table_put_i64(&p, BYTES("x-max-length-bytes"), (int64_t)b->o.keep);
        table_put_i64(&p, BYTES("x-stream-max-segment-size-bytes"), (int64_t)(b->o.keep / PARTS));
    }
    link_call(l, 1,
              &(struct queue_declare){.id = METHOD_queue_declare,
                                      .queue = bytes_of_string(is_stream ? STREAM : QUEUE),
                                      .durable = true,
                                      .arguments = pen_written(&p)},
              METHOD_queue_declare_ok);
}

/* Leaves CHUNK publishes in the output buffer, to be numbered. */
static void writer_init(struct bench *b, bool is_stream, uint64_t base)
{
    struct writer *w = &b->writer;
    uint8_t *body = alloc_zeroed(b->o.size);
    struct link_message m = {.routing_key = bytes_of_string(is_stream ? STREAM : QUEUE),
                             .body = bytes_of(body, b->o.size),
                             .persistent = true};
    *w = (struct writer){.base = base, .put = base, .confirmed = base};
    link_init(&w->link, &b->to);
    declare(b, &w->link, is_stream);
    link_call(&w->link, 1, &(struct confirm_select){.id = METHOD_confirm_select}, METHOD_confirm_select_ok);
    for (unsigned i = 0; i < CHUNK; i++)
        link_put_message(&w->link, 1, &m);
    w->publish_len = w->link.out_len / CHUNK;
    w->body_at = w->publish_len - b->o.size - 1; /* the frame's end is behind it */
    w->at = w->link.out_len;
    free(body);
}

static void number_chunk(struct writer *w, uint64_t end)
{
    uint64_t n = end - w->put < CHUNK ? end - w->put : CHUNK;
    for (uint64_t i = 0; i < n; i++, w->put++)
        memcpy(w->link.out + i * w->publish_len + w->body_at, &w->put, NUMBER_BYTES);
    w->link.out_len = n * w->publish_len;
    w->at = 0;
}

static void hear_confirms(struct writer *w)
{
    struct frame frame;
    link_fill(&w->link, MSG_DONTWAIT);
    while (link_cut(&w->link, &frame)) {
        if (frame.type != FRAME_METHOD)
            continue;
        union method m = link_method(&frame);
        if (m.id == METHOD_basic_nack)
            die("a publish was refused");
        if (m.id != METHOD_basic_ack)
            continue;
        uint64_t tag = w->base + m.basic_ack.delivery_tag;
        w->confirmed = m.basic_ack.multiple ? tag : w->confirmed + 1;
    }
}

/* What it waits for, up to number `end`. */
static short writer_events(struct writer *w, uint64_t end)
{
    if (w->at == w->link.out_len && w->put < end && w->put + CHUNK <= w->confirmed + WINDOW)
        number_chunk(w, end);
    return w->at < w->link.out_len ? POLLIN | POLLOUT : POLLIN;
}

static void writer_go_on(struct writer *w, short events)
{
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0)
        hear_confirms(w);
    if ((events & POLLOUT) == 0)
        return;
    ssize_t n = send(w->link.fd, w->link.out + w->at, w->link.out_len - w->at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        die("publishing: %s", strerror(errno));
    w->at += n > 0 ? (size_t)n : 0;
}

/* ---- Reading */

static void reader_open(struct bench *b, struct reader *r, bool is_stream, const char *word)
{
    uint8_t room[100];
    struct pen p = pen_over(room, sizeof room);
    if (is_stream && word != NULL)
        table_put_string(&p, BYTES("x-stream-offset"), bytes_of_string(word));
    else if (is_stream)
        table_put_i64(&p, BYTES("x-stream-offset"), (int64_t)r->next);
    r->is_stream = is_stream;
    r->tag = r->settled = 0;
    link_init(&r->link, &b->to);
    link_reserve(&r->link, READ_ROOM);
    link_call(&r->link, 1, &(struct basic_qos){.id = METHOD_basic_qos, .prefetch_count = PREFETCH},
              METHOD_basic_qos_ok);
    link_call(&r->link, 1,
              &(struct basic_consume){.id = METHOD_basic_consume,
                                      .queue = bytes_of_string(is_stream ? STREAM : QUEUE),
                                      .arguments = pen_written(&p)},
              METHOD_basic_consume_ok);
}

/* The x-stream-offset of a content header. */
static uint64_t offset_of(const struct frame *f)
{
    struct properties p;
    struct field offset;
    if (f->payload.len < HEADER_FIXED ||
        !properties_decode(bytes_of(f->payload.at + HEADER_FIXED, f->payload.len - HEADER_FIXED), &p) ||
        !table_find(p.headers, BYTES("x-stream-offset"), &offset) || offset.type != 'l')
        die("a delivery has no offset");
    return (uint64_t)offset.integer;
}

/* A message is whole: it may have an offset that is too high only if what is before it is not kept. */
static void take_message(struct bench *b, struct reader *r, uint64_t number)
{
    bool may_skip = b->o.keep > 0 && r->is_stream;
    uint64_t offset = r->is_stream ? r->offset : number;
    bool is_next = number == r->next || (may_skip && number > r->next);
    if ((!is_next || offset != number) && !r->is_strange) {
        printf("# message %" PRIu64 " came at offset %" PRIu64 " where %" PRIu64 " was expected\n", number, offset,
               r->next);
        r->is_strange = true;
    }
    r->skipped += number > r->next ? number - r->next : 0;
    r->next = number + 1;
    r->read++;
}

static void take_frame(struct bench *b, struct reader *r, const struct frame *f)
{
    struct cursor c = cursor_over(f->payload);
    uint64_t number;
    if (f->type == FRAME_METHOD && cursor_u32(&c) == METHOD_basic_deliver) {
        cursor_shortstr(&c);
        r->tag = cursor_u64(&c);
    } else if (f->type == FRAME_METHOD) {
        link_method(f); /* it may say why this is the end */
    } else if (f->type == FRAME_HEADER && r->is_stream) {
        r->offset = offset_of(f);
    } else if (f->type == FRAME_BODY) {
        memcpy(&number, f->payload.at, NUMBER_BYTES);
        take_message(b, r, number);
    }
}

static void settle(struct reader *r)
{
    link_put(&r->link, 1, &(struct basic_ack){.id = METHOD_basic_ack, .delivery_tag = r->tag, .multiple = true});
    link_flush(&r->link);
    r->settled = r->tag;
}

static void reader_go_on(struct bench *b, struct reader *r)
{
    link_fill(&r->link, MSG_DONTWAIT);
    for (struct frame f; link_cut(&r->link, &f);) {
        take_frame(b, r, &f);
        if (f.type == FRAME_BODY && r->tag - r->settled >= ACKS)
            settle(r);
    }
}

/* ---- Both at once */

/* Until the writer has written up to `end`, and the readers have read up to there, or until the deadline (0: none).
 * True: all of that was done. */
static bool work(struct bench *b, bool writes, unsigned readers, uint64_t end, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd p[READERS + 1];
        bool is_done = !writes || b->writer.confirmed >= end;
        for (unsigned i = 0; i < readers; i++) {
            p[i] = (struct pollfd){.fd = b->readers[i].next < end ? b->readers[i].link.fd : -1, .events = POLLIN};
            is_done &= b->readers[i].next >= end;
        }
        if (is_done)
            return true;
        p[readers] = (struct pollfd){.fd = -1};
        if (writes)
            p[readers] = (struct pollfd){.fd = b->writer.link.fd, .events = writer_events(&b->writer, end)};
        int n = poll(p, readers + 1, deadline_ns > 0 ? SAMPLE_MS : LINK_PATIENCE_MS);
        if (n == 0 && deadline_ns == 0)
            die("nothing comes any more");
        if (deadline_ns > 0 && now_ns() > deadline_ns)
            return false;
        for (unsigned i = 0; i < readers; i++)
            if (p[i].revents != 0)
                reader_go_on(b, &b->readers[i]);
        if (p[readers].revents != 0)
            writer_go_on(&b->writer, p[readers].revents);
        sample(b);
    }
}

static void judge_peak(struct bench *b, const char *when)
{
    double mb = (double)b->peak / MB;
    if (b->o.most_mb > 0)
        tell(b, mb <= (double)b->o.most_mb, "%s: at most %.1f MB resident of %" PRIu64, when, mb, b->o.most_mb);
    else
        printf("# %s: at most %.1f MB resident\n", when, mb);
    b->peak = 0;
}

/* ---- Figures */

static void write_all(struct bench *b, bool is_stream)
{
    uint64_t began = now_ns();
    writer_init(b, is_stream, 0);
    work(b, true, 0, b->o.messages, 0);
    link_fini(&b->writer.link);
    printf("# %s: %.0f published and confirmed a second, %.1f MB on disk\n", is_stream ? "stream" : "queue",
           (double)b->o.messages / seconds_since(began), disk_mb(b));
    judge_peak(b, is_stream ? "writing the stream" : "filling the queue");
}

static void read_all(struct bench *b, bool is_stream, unsigned readers)
{
    uint64_t began = now_ns(), read = 0;
    bool is_fine = true;
    for (unsigned i = 0; i < readers; i++) {
        b->readers[i] = (struct reader){.next = readers == 1 ? 0 : b->o.messages / 10 * begin_at[i]};
        reader_open(b, &b->readers[i], is_stream, NULL);
    }
    work(b, false, readers, b->o.messages, 0);
    double seconds = seconds_since(began);
    for (unsigned i = 0; i < readers; i++) {
        read += b->readers[i].read;
        is_fine &= !b->readers[i].is_strange;
        link_fini(&b->readers[i].link);
    }
    tell(b, is_fine, "%s: %u read all of it from where they began, in order", is_stream ? "stream" : "queue", readers);
    printf("# %s: %u at once, %.0f read and acknowledged a second\n", is_stream ? "stream" : "queue", readers,
           (double)read / seconds);
    judge_peak(b, is_stream ? "reading the stream" : "emptying the queue");
}

static uint64_t count_messages(const struct bench *b)
{
    struct link l;
    link_init(&l, &b->to);
    union method m = link_call(
        &l, 1, &(struct queue_declare){.id = METHOD_queue_declare, .queue = bytes_of_string(STREAM), .passive = true},
        METHOD_queue_declare_ok);
    link_fini(&l);
    return m.queue_declare_ok.message_count;
}

static void launch(struct bench *b)
{
    uint64_t began = now_ns();
    process_launch(&b->broker, b->o.program, b->o.settings);
    b->to = (struct link_to){.host = "127.0.0.1", .port = b->broker.port};
    if (b->o.kills == 0)
        printf("# ready %.3f s after a start\n", seconds_since(began));
}

static void measure(struct bench *b)
{
    write_all(b, true);
    read_all(b, true, READERS);
    process_kill(&b->broker);
    launch(b);
    uint64_t left = count_messages(b);
    tell(b, left == b->o.messages, "after kill -9 the stream has its messages: %" PRIu64, left);
    read_all(b, true, 1);
    if (b->o.no_queue)
        return;
    write_all(b, false);
    read_all(b, false, 1);
}

/* ---- Kills */

/* The offset behind the newest message. */
static uint64_t find_end(struct bench *b)
{
    struct reader r = {0};
    if (count_messages(b) == 0)
        return 0;
    reader_open(b, &r, true, "last");
    while (r.tag == 0 || r.read == 0) {
        struct frame f = link_next(&r.link);
        if (f.type == FRAME_HEADER)
            r.next = offset_of(&f);
        take_frame(b, &r, &f);
    }
    link_fini(&r.link);
    if (r.is_strange)
        tell(b, false, "the newest message is not at its offset");
    return r.next;
}

static uint64_t pick(struct bench *b, uint64_t n)
{
    b->random = b->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (b->random >> 33) % n;
}

/* One life of the broker.  True: everything is written and read. */
static bool live(struct bench *b, bool is_last)
{
    uint64_t safe = b->writer.confirmed, seen = 0;
    launch(b);
    uint64_t end = safe == 0 && b->writer.put == 0 ? 0 : find_end(b);
    for (unsigned i = 0; i < READERS; i++)
        seen = b->readers[i].next > seen ? b->readers[i].next : seen;
    if (end < safe || end < seen)
        tell(b, false, "%" PRIu64 " were confirmed and %" PRIu64 " read, %" PRIu64 " are there", safe, seen, end);
    writer_init(b, true, end);
    for (unsigned i = 0; i < READERS; i++)
        reader_open(b, &b->readers[i], true, NULL);
    uint64_t life = (LIFE_MS + pick(b, LIFE_RANGE_MS)) * NS_PER_MS;
    bool is_done = work(b, true, READERS, b->o.messages, is_last ? 0 : now_ns() + life);
    process_kill(&b->broker);
    link_fini(&b->writer.link);
    for (unsigned i = 0; i < READERS; i++)
        link_fini(&b->readers[i].link);
    return is_done;
}

static void torture(struct bench *b)
{
    uint64_t kills = 0, read = 0, skipped = 0;
    bool is_fine = true;
    process_kill(&b->broker);
    while (!live(b, kills >= b->o.kills))
        kills++;
    launch(b);
    for (unsigned i = 0; i < READERS; i++) {
        is_fine &= !b->readers[i].is_strange;
        read += b->readers[i].read;
        skipped += b->readers[i].skipped;
    }
    tell(b, is_fine, "killed %" PRIu64 " times: every message came at its offset, and no other", kills);
    tell(b, b->o.keep > 0 || read == READERS * b->o.messages, "%" PRIu64 " were read", read);
    uint64_t end = find_end(b), left = count_messages(b);
    tell(b, end == b->o.messages, "the last one is there");
    printf("# %" PRIu64 " passed by, %" PRIu64 " left, %.1f MB on disk\n", skipped, left, disk_mb(b));
    if (b->o.keep > 0) /* what is kept, and at most a segment that is being written */
        tell(b, left * b->o.size <= b->o.keep + b->o.keep / PARTS && left > 0, "no more is kept than was allowed");
    else
        tell(b, left == b->o.messages, "all are there");
    judge_peak(b, "all the time");
}

/* ---- All of it */

static const char usage[] = "usage: bench_stream MILLRACED [--messages N] [--size BYTES] [--set KEY=VALUE]\n"
                            "    [--kills N] [--keep BYTES] [--no-queue] [--most MB]";

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
        {&o->messages, PARTS, MESSAGES_MAX},
        {&o->size, NUMBER_BYTES, SIZE_MAX_BYTES},
        {&o->kills, 1, KILLS_MAX},
        {&o->keep, MB, INT64_MAX},
        {&o->most_mb, 1, MB},
    };
    const struct option known[] = {
        {"messages", required_argument, NULL, 0}, {"size", required_argument, NULL, 0},
        {"kills", required_argument, NULL, 0},    {"keep", required_argument, NULL, 0},
        {"most", required_argument, NULL, 0},     {"set", required_argument, NULL, 's'},
        {"no-queue", no_argument, NULL, 'n'},     {0},
    };
    for (int c, at = 0; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
        if (c == 0)
            *numbers[at].to = parse(known[at].name, numbers[at].least, numbers[at].most);
        else if (c == 's' && o->settings_count < SETTINGS_MAX)
            o->settings[o->settings_count++] = optarg;
        else if (c == 'n')
            o->no_queue = true;
        else
            die("%s", usage);
    }
    if (optind + 1 != argc)
        die("%s", usage);
    o->program = argv[optind];
}

int main(int argc, char **argv)
{
    static struct bench b = {.o = {.messages = 10000000, .size = 100}, .random = 1};
    parse_options(&b.o, argc, argv);
    process_start(&b.broker, b.o.program, b.o.settings);
    if (!folder_is_on_disk(b.broker.dir))
        die("%s is not on a disk; BENCH_DIR may name a folder that is", b.broker.dir);
    b.to = (struct link_to){.host = "127.0.0.1", .port = b.broker.port};
    printf("# %" PRIu64 " messages of %" PRIu64 " bytes\n", b.o.messages, b.o.size);
    if (b.o.kills > 0)
        torture(&b);
    else
        measure(&b);
    process_stop(&b.broker);
    printf("1..%u\n# PASS:  %u\n# FAIL:  %u\n", b.tests, b.tests - b.broken, b.broken);
    return b.broken > 0;
}
