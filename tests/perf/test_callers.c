/* Callers against brokers of every kind: brief, chatty, torn, rude.  The broker is a thread that plays one part for
 * each connection, in the order in which they come. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/perf/callers.h"
#include "codec/table.h"

enum { ROOM = 64 << 10, TURN_MS = 1000, PARTS_MAX = 300 };

enum part {
    PLAIN,
    BYTE_BY_BYTE,
    WITH_HEARTBEATS, /* before each answer, and a blocked */
    OTHER_TUNE,      /* other limits than the connection before had */
    CLOSES_AT_TUNE,
    CLOSES_CHANNEL,
    HANGS_UP_AT_OPEN,
    TALKS_NONSENSE,
    SAYS_TOO_MUCH, /* a frame larger than any handshake's */
    SAYS_SOMETHING_ELSE,
};

struct broker {
    int listener;
    unsigned port;
    pthread_t thread;
    unsigned count;
    enum part parts[PARTS_MAX];
    /* What it saw, once the thread has ended. */
    unsigned closes, opens;
    uint16_t channel_max;
    uint32_t frame_max;
    uint16_t heartbeat;
};

/* ---- The broker */

struct line {
    int fd;
    enum part part;
    uint8_t in[ROOM], out[ROOM];
    size_t in_len, at;
    struct pen pen;
};

static void send_all(struct line *l)
{
    struct bytes b = pen_written(&l->pen);
    size_t step = l->part == BYTE_BY_BYTE ? 1 : b.len;
    for (size_t at = 0; at < b.len; at += step)
        if (send(l->fd, b.at + at, step, MSG_NOSIGNAL) < 0)
            break;
    l->pen = pen_over(l->out, sizeof l->out);
}

static void put(struct line *l, unsigned channel, const void *method)
{
    if (l->part == WITH_HEARTBEATS) {
        frame_close(&l->pen, frame_open(&l->pen, FRAME_HEARTBEAT, 0));
        uint8_t *mark = frame_open(&l->pen, FRAME_METHOD, 0);
        method_encode(&l->pen, (const union method *)&(struct connection_blocked){.id = METHOD_connection_blocked});
        frame_close(&l->pen, mark);
    }
    uint8_t *mark = frame_open(&l->pen, FRAME_METHOD, (uint16_t)channel);
    method_encode(&l->pen, method);
    frame_close(&l->pen, mark);
    send_all(l);
}

/* The next method of the client; its id is 0 when there is none. */
static union method next(struct line *l)
{
    struct frame f;
    size_t used;
    union method m = {0};
    while (frame_cut(bytes_of(l->in + l->at, l->in_len - l->at), ROOM, &f, &used) != FRAME_OK) {
        ssize_t n = recv(l->fd, l->in + l->in_len, sizeof l->in - l->in_len, 0);
        if (n <= 0)
            return (union method){0};
        l->in_len += (size_t)n;
    }
    l->at += used;
    if (method_decode(f.payload, &m) != METHOD_OK)
        return (union method){0};
    return m;
}

static void greet(struct line *l)
{
    uint8_t header[8], room[ROOM / 2];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("product"), BYTES("fake"));
    if (l->part == SAYS_TOO_MUCH) {
        static const char much[17 << 10];
        table_put_string(&p, BYTES("much"), bytes_of(much, sizeof much));
    }
    if (recv(l->fd, header, sizeof header, MSG_WAITALL) != sizeof header)
        return;
    if (l->part == TALKS_NONSENSE) {
        pen_bytes(&l->pen, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"));
        send_all(l);
        return;
    }
    put(l, 0,
        &(struct connection_start){.id = METHOD_connection_start,
                                   .version_minor = 9,
                                   .server_properties = pen_written(&p),
                                   .mechanisms = BYTES("PLAIN"),
                                   .locales = BYTES("en_US")});
}

/* False: the conversation is over. */
static bool answer(struct broker *b, struct line *l, const union method *m)
{
    switch ((unsigned)m->id) {
    case METHOD_connection_start_ok:
        if (l->part == CLOSES_AT_TUNE)
            put(l, 0,
                &(struct connection_close){
                    .id = METHOD_connection_close, .reply_code = 403, .reply_text = BYTES("not you")});
        else if (l->part == SAYS_SOMETHING_ELSE)
            put(l, 1, &(struct basic_qos_ok){.id = METHOD_basic_qos_ok});
        else
            put(l, 0,
                &(struct connection_tune){.id = METHOD_connection_tune,
                                          .channel_max = l->part == OTHER_TUNE ? 7 : 2047,
                                          .frame_max = l->part == OTHER_TUNE ? 5000 : 131072,
                                          .heartbeat = 60});
        return true;
    case METHOD_connection_tune_ok:
        b->channel_max = m->connection_tune_ok.channel_max;
        b->frame_max = m->connection_tune_ok.frame_max;
        b->heartbeat = m->connection_tune_ok.heartbeat;
        return true;
    case METHOD_connection_open:
        if (l->part == HANGS_UP_AT_OPEN)
            return false;
        put(l, 0, &(struct connection_open_ok){.id = METHOD_connection_open_ok});
        return true;
    case METHOD_channel_open:
        if (l->part == CLOSES_CHANNEL)
            put(l, 1,
                &(struct channel_close){
                    .id = METHOD_channel_close, .reply_code = 504, .reply_text = BYTES("no channel")});
        else
            put(l, 1, &(struct channel_open_ok){.id = METHOD_channel_open_ok});
        b->opens++;
        return true;
    case METHOD_connection_close:
        b->closes++;
        put(l, 0, &(struct connection_close_ok){.id = METHOD_connection_close_ok});
        return true;
    default:
        return false;
    }
}

static void *play(void *arg)
{
    struct broker *b = arg;
    struct line *l = alloc(sizeof *l);
    int on = 1;
    for (unsigned i = 0; i < b->count; i++) {
        *l = (struct line){.fd = accept(b->listener, NULL, NULL), .part = b->parts[i]};
        l->pen = pen_over(l->out, sizeof l->out);
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        greet(l);
        for (union method m; (m = next(l)).id != 0 && answer(b, l, &m);)
            ;
        close(l->fd);
    }
    free(l);
    return NULL;
}

static void start(struct broker *b, const enum part *parts, unsigned count)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    *b = (struct broker){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .count = count + 1};
    b->parts[0] = PLAIN; /* callers_create() asks for the broker's name */
    memcpy(b->parts + 1, parts, count * sizeof *parts);
    assert_int_equal(bind(b->listener, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(b->listener, 100), 0);
    assert_int_equal(getsockname(b->listener, (struct sockaddr *)&a, &len), 0);
    b->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&b->thread, NULL, play, b), 0);
}

static void stop(struct broker *b)
{
    pthread_join(b->thread, NULL);
    close(b->listener);
}

/* ---- The callers */

struct log {
    struct callers *callers;
    unsigned open, ended, failed;
    char why[256];
    unsigned redial; /* how often it dials again */
    bool stays;
};

static bool on_open(void *arg, unsigned caller, uint64_t ns)
{
    struct log *log = arg;
    (void)caller;
    assert_true(ns > 0);
    log->open++;
    return !log->stays;
}

static void on_end(void *arg, unsigned caller, const char *why)
{
    struct log *log = arg;
    log->ended++;
    log->failed += why != NULL;
    if (why != NULL)
        snprintf(log->why, sizeof log->why, "%s", why);
    if (log->redial > 0) {
        log->redial--;
        callers_dial(log->callers, caller);
    }
}

/* Each part once, one after another, by one caller. */
static struct log run(struct broker *b, const enum part *parts, unsigned count)
{
    struct log log = {.redial = count - 1};
    const struct callers_events events = {.on_open = on_open, .on_end = on_end, .arg = &log};
    start(b, parts, count);
    const struct link_to to = {.host = "127.0.0.1", .port = b->port};
    log.callers = callers_create(&to, 1, &events);
    callers_dial(log.callers, 0);
    while (log.ended < count)
        callers_turn(log.callers, TURN_MS);
    assert_true(callers_sent(log.callers) > 0);
    callers_destroy(log.callers);
    stop(b);
    return log;
}

#define RUN(b, ...)                                                                                                    \
    run((b), (const enum part[]){__VA_ARGS__}, sizeof((const enum part[]){__VA_ARGS__}) / sizeof(enum part))

TEST(a_connection_is_opened_and_closed)
{
    struct broker b;
    struct log log = RUN(&b, PLAIN);
    assert_int_equal(log.open, 1);
    assert_int_equal(log.failed, 0);
    assert_int_equal(b.closes, 1);
    assert_int_equal(b.channel_max, 2047);
    assert_int_equal(b.frame_max, 131072);
    assert_int_equal(b.heartbeat, 0);
}

TEST(one_caller_calls_again_and_again)
{
    struct broker b;
    enum part parts[PARTS_MAX - 1] = {PLAIN};
    struct log log = run(&b, parts, PARTS_MAX - 1);
    assert_int_equal(log.open, PARTS_MAX - 1);
    assert_int_equal(log.failed, 0);
    assert_int_equal(b.closes, PARTS_MAX - 1);
}

TEST(answers_may_come_byte_by_byte)
{
    struct broker b;
    struct log log = RUN(&b, BYTE_BY_BYTE, BYTE_BY_BYTE, PLAIN);
    assert_int_equal(log.open, 3);
    assert_int_equal(log.failed, 0);
    assert_int_equal(b.closes, 3);
}

TEST(heartbeats_and_warnings_between_answers_do_no_harm)
{
    struct broker b;
    struct log log = RUN(&b, WITH_HEARTBEATS, PLAIN);
    assert_int_equal(log.open, 2);
    assert_int_equal(log.failed, 0);
}

TEST(each_connection_takes_the_limits_that_it_was_offered)
{
    struct broker b;
    struct log log = RUN(&b, PLAIN, OTHER_TUNE);
    assert_int_equal(log.failed, 0);
    assert_int_equal(b.channel_max, 7);
    assert_int_equal(b.frame_max, 5000);
    log = RUN(&b, OTHER_TUNE, PLAIN);
    assert_int_equal(log.failed, 0);
    assert_int_equal(b.channel_max, 2047);
    assert_int_equal(b.frame_max, 131072);
}

TEST(a_failure_is_told_and_the_next_call_succeeds)
{
    static const struct {
        enum part part;
        const char *why;
    } all[] = {
        {CLOSES_AT_TUNE, "connection closed: 403 not you"},
        {CLOSES_CHANNEL, "channel closed: 504 no channel"},
        {HANGS_UP_AT_OPEN, "the broker closed the socket"},
        {TALKS_NONSENSE, "the broker sent something that is not a frame of a handshake"},
        {SAYS_TOO_MUCH, "the broker sent something that is not a frame of a handshake"},
        {SAYS_SOMETHING_ELSE, "the broker says 0x3c000b in a handshake"},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        struct broker b;
        struct log log = RUN(&b, all[i].part, PLAIN);
        assert_int_equal(log.failed, 1);
        assert_int_equal(log.ended, 2);
        assert_string_equal(log.why, all[i].why);
        assert_int_equal(b.closes, 1);
    }
}

TEST(a_connection_that_stays_is_not_closed)
{
    struct broker b;
    struct log log = {.stays = true};
    const struct callers_events events = {.on_open = on_open, .on_end = on_end, .arg = &log};
    start(&b, (const enum part[]){PLAIN}, 1);
    const struct link_to to = {.host = "127.0.0.1", .port = b.port};
    log.callers = callers_create(&to, 1, &events);
    callers_dial(log.callers, 0);
    while (log.open < 1)
        callers_turn(log.callers, TURN_MS);
    assert_int_equal(log.ended, 0);
    callers_destroy(log.callers); /* hangs up */
    stop(&b);
    assert_int_equal(log.ended, 0);
    assert_int_equal(b.closes, 0);
    assert_int_equal(b.opens, 2); /* that of callers_create(), too */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_opened_and_closed),
        cmocka_unit_test(one_caller_calls_again_and_again),
        cmocka_unit_test(answers_may_come_byte_by_byte),
        cmocka_unit_test(heartbeats_and_warnings_between_answers_do_no_harm),
        cmocka_unit_test(each_connection_takes_the_limits_that_it_was_offered),
        cmocka_unit_test(a_failure_is_told_and_the_next_call_succeeds),
        cmocka_unit_test(a_connection_that_stays_is_not_closed),
    };
    return unit_main("callers", tests, argc, argv);
}
