#define _GNU_SOURCE
#include "broker/perf/batches.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/die.h"

enum { EVENTS_MAX = 64, READ_ROOM = 64 << 10, NAME_ROOM = 48, FIRST_CHANNEL = 2 };

/* One half of a batch: bytes that are sent, requests of equal length one after another. */
struct half {
    uint8_t *bytes;         /* owned */
    size_t len, room, each; /* each: bytes of a request; 0: they differ */
};

struct batch {
    struct link link;
    struct half halves[2];
    unsigned at;         /* which half is under way */
    unsigned size, left; /* requests in it, and those without an answer */
    size_t sent;         /* bytes of it */
    bool is_blocked;     /* the socket takes no more: we wait for EPOLLOUT */
    uint64_t done;       /* pairs */
};

struct batches {
    struct batches_config config;
    enum method_id answers[2];
    struct batch *all; /* owned */
    unsigned working;  /* batches that have not reached their goal */
    uint64_t done, sent, received;
    int epoll;
};

/* ---- What is sent */

static void put_request(struct link *l, enum batch_kind kind, unsigned half, unsigned i, const char *name)
{
    struct bytes queue = kind == BATCH_QUEUES ? bytes_of_string(name) : BYTES("");
    if (kind == BATCH_CHANNELS && half == 0)
        link_put(l, FIRST_CHANNEL + i, &(struct channel_open){.id = METHOD_channel_open});
    else if (kind == BATCH_CHANNELS)
        link_put(
            l, FIRST_CHANNEL + i,
            &(struct channel_close){.id = METHOD_channel_close, .reply_code = 200, .reply_text = BYTES("goodbye")});
    else if (half == 0)
        link_put(l, 1, &(struct queue_declare){.id = METHOD_queue_declare, .queue = queue, .exclusive = true});
    else
        link_put(l, 1, &(struct queue_delete){.id = METHOD_queue_delete, .queue = queue});
}

static void prepare_half(const struct batches *b, struct batch *batch, unsigned half, unsigned number)
{
    struct link l = {.fd = -1};
    char name[NAME_ROOM];
    if (b->config.size == 0 || (b->config.kind == BATCH_SERVER_NAMED && half == 1))
        return; /* made of answers */
    for (unsigned i = 0; i < b->config.size; i++) {
        snprintf(name, sizeof name, "perf.%010d.%05u.%05u", (int)getpid(), number, i);
        put_request(&l, b->config.kind, half, i, name);
    }
    batch->halves[half] =
        (struct half){.bytes = l.out, .len = l.out_len, .room = l.out_room, .each = l.out_len / b->config.size};
}

/* ---- Batches */

static void watch_writing(const struct batches *b, struct batch *batch, bool is_blocked)
{
    struct epoll_event e = {.events = is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = batch};
    if (is_blocked == batch->is_blocked)
        return;
    batch->is_blocked = is_blocked;
    if (epoll_ctl(b->epoll, EPOLL_CTL_MOD, batch->link.fd, &e) != 0)
        die("epoll: %s", strerrordesc_np(errno));
}

static void push(struct batches *b, struct batch *batch)
{
    const struct half *h = &batch->halves[batch->at];
    size_t end = h->each > 0 ? h->each * batch->size : h->len;
    while (batch->sent < end) {
        ssize_t n = link_send(&batch->link, h->bytes + batch->sent, end - batch->sent);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR)
            die("write: %s", strerrordesc_np(errno));
        batch->sent += n > 0 ? (size_t)n : 0;
        b->sent += n > 0 ? (uint64_t)n : 0;
    }
    watch_writing(b, batch, batch->sent < end);
}

/* The next half, or the next batch, or rest. */
static void go_on(struct batches *b, struct batch *batch)
{
    if (batch->at == 1 || batch->size == 0) {
        batch->done += batch->size;
        uint64_t more = b->config.goal - batch->done;
        batch->size = more < b->config.size ? (unsigned)more : b->config.size;
        batch->at = 0;
        if (b->config.kind == BATCH_SERVER_NAMED)
            batch->halves[1].len = 0;
    } else {
        batch->at = 1;
    }
    if (batch->size == 0) {
        b->working--;
        return;
    }
    batch->left = batch->size;
    batch->sent = 0;
    push(b, batch);
}

/* Makes a delete of an answer. */
static void note_name(struct batch *batch, const struct frame *f)
{
    union method m = link_method(f);
    struct half *h = &batch->halves[1];
    struct link l = {.fd = -1, .out = h->bytes, .out_len = h->len, .out_room = h->room};
    link_put(&l, 1, &(struct queue_delete){.id = METHOD_queue_delete, .queue = m.queue_declare_ok.queue});
    *h = (struct half){.bytes = l.out, .len = l.out_len, .room = l.out_room};
}

static void pull(struct batches *b, struct batch *batch)
{
    struct frame f;
    do {
        b->received += link_fill(&batch->link, MSG_DONTWAIT);
        while (link_cut(&batch->link, &f)) {
            struct cursor c = cursor_over(f.payload);
            if (f.type != FRAME_METHOD)
                continue;
            if (cursor_u32(&c) != (uint32_t)b->answers[batch->at]) {
                link_method(&f); /* which may say that it is all over */
                continue;
            }
            if (b->config.kind == BATCH_SERVER_NAMED && batch->at == 0)
                note_name(batch, &f);
            if (batch->left == 0)
                continue; /* nobody asked */
            b->done += batch->at == 1;
            if (--batch->left == 0)
                go_on(b, batch);
        }
    } while (link_is_pending(&batch->link));
}

void batches_turn(struct batches *b, int ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(b->epoll, events, EVENTS_MAX, ms);
    if (n < 0 && errno != EINTR)
        die("epoll: %s", strerrordesc_np(errno));
    for (int i = 0; i < n; i++) {
        struct batch *batch = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) != 0)
            push(b, batch);
        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
            pull(b, batch);
    }
}

/* ---- All of them */

static void begin(struct batches *b, struct batch *batch, const struct link_to *to)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = batch};
    link_init(&batch->link, to);
    link_reserve(&batch->link, READ_ROOM);
    for (unsigned half = 0; half < 2; half++)
        prepare_half(b, batch, half, (unsigned)(batch - b->all));
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, batch->link.fd, &e) != 0)
        die("epoll: %s", strerrordesc_np(errno));
}

struct batches *batches_create(const struct link_to *to, const struct batches_config *config)
{
    struct batches *b = alloc(sizeof *b);
    bool is_channels = config->kind == BATCH_CHANNELS;
    *b = (struct batches){.config = *config,
                          .answers = {is_channels ? METHOD_channel_open_ok : METHOD_queue_declare_ok,
                                      is_channels ? METHOD_channel_close_ok : METHOD_queue_delete_ok},
                          .all = alloc_zeroed(config->links * sizeof *b->all),
                          .working = config->links,
                          .epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (b->epoll < 0)
        die("epoll: %s", strerrordesc_np(errno));
    if (config->goal < config->size)
        b->config.size = (unsigned)config->goal;
    for (unsigned i = 0; i < config->links; i++)
        begin(b, &b->all[i], to);
    for (unsigned i = 0; i < config->links; i++)
        go_on(b, &b->all[i]);
    return b;
}

void batches_destroy(struct batches *b)
{
    if (b == NULL)
        return;
    for (unsigned i = 0; i < b->config.links; i++) {
        link_fini(&b->all[i].link);
        free(b->all[i].halves[0].bytes);
        free(b->all[i].halves[1].bytes);
    }
    close(b->epoll);
    free(b->all);
    free(b);
}

uint64_t batches_done(const struct batches *b)
{
    return b->done;
}

bool batches_are_through(const struct batches *b)
{
    return b->working == 0;
}

uint64_t batches_sent(const struct batches *b)
{
    return b->sent;
}

uint64_t batches_received(const struct batches *b)
{
    return b->received;
}
