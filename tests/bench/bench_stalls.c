/* Usage: bench_stalls [SHARE [NAME]].  How long the hub's thread is away at worst: what makes much work at once, done
 * to a broker that holds a lot, and the longest turn that came of it, in milliseconds of its processor time.
 *
 * The hub is called as its one loop calls it, with a real keeper behind it (a folder in TMPDIR); what clients would say
 * is made here and not in the time.  Each line is a process of its own.  SHARE: of the usual amounts, in percent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker/net/hub.h"
#include "broker/perf/die.h"
#include "broker/perf/process.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/message.h"
#include "broker/port/queue_options.h"
#include "broker/port/record.h"
#include "broker/store/keeper.h"
#include "codec/table.h"
#include "tests/unit/guest.h"

enum {
    BODY = 16,
    NAME_ROOM = 64,
    TABLE_ROOM = 512,
    TURN_COMMANDS = 4 * BATCH_MAX, /* that a client sends before it waits for the turn */
    QUIET_MS = 250,                /* of nothing to do: it is over */
    MEMORY_HIGH = 2000,            /* MiB */
    MMAP_BYTES = 256 << 10,        /* malloc as in main.c */
    TRIM_BYTES = 16 << 20,
};

struct bench {
    const char *name;
    uint64_t share;
    struct hub *hub;
    struct keeper *keeper;
    struct disk *disk;
    struct store *store; /* the keeper's */
    struct lane lane;    /* the loop's */
    struct outbox outbox;
    char folder[64];
    bool is_timed;
    uint64_t worst_ns, all_ns, turns; /* while it is timed */
    uint64_t delivered;
    ticket *tickets; /* owned: that were delivered, if wanted */
    size_t n_tickets, room;
};

struct scene {
    const char *name, *what;
    void (*run)(struct bench *x, uint64_t n);
    uint64_t n; /* how much, at a share of 100 */
};

static struct origin client(unsigned number, uint16_t stream)
{
    return (struct origin){
        .outlet = {.slot = DESK_SLOTS + number, .generation = 1}, .stream = stream, .channel = stream};
}

static const struct origin desk = {.outlet = {.slot = 1, .generation = DESK_GENERATION}};

/* ---- Turns */

static uint64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add_ticket(struct bench *x, ticket t)
{
    if (x->n_tickets == x->room) {
        x->room = alloc_grown(x->room, x->n_tickets + 1);
        x->tickets = alloc_array(x->tickets, x->room, sizeof *x->tickets);
    }
    x->tickets[x->n_tickets++] = t;
}

static void answer(struct bench *x, struct event *events, size_t n)
{
    uint64_t window = 0;
    for (size_t i = 0; i < n; i++) {
        struct event *e = &events[i];
        if (e->what == FAILED)
            die("%s: %s", x->name, e->failed.text);
        if (e->what == DELIVERED) {
            window += message_window_cost(e->delivered.msg);
            add_ticket(x, e->delivered.ticket);
            x->delivered++;
        }
        event_drop(e);
    }
    if (window > 0)
        outbox_add(&x->outbox, WINDOW, client(0, 0), 0)->window.bytes = window;
}

static void note_turn(struct bench *x, uint64_t ns)
{
    if (!x->is_timed)
        return;
    x->turns++;
    x->all_ns += ns;
    if (ns > x->worst_ns)
        x->worst_ns = ns;
}

/* As a loop does: the batches that were there, until it has taken long. */
static void turn(struct bench *x)
{
    for (struct parcel *p = lane_collect(&x->lane), *next; p != NULL; p = next) {
        next = p->next;
        hub_has_news(x->hub);
    }
    struct batch *first = outbox_take(&x->outbox);
    do {
        uint64_t began = thread_ns();
        hub_begin(x->hub);
        if (first == NULL)
            hub_step(x->hub, NULL);
        for (unsigned i = 0; first != NULL && i < HUB_TURN_BATCHES && !hub_turn_is_long(x->hub); i++) {
            struct batch *b = first;
            hub_step(x->hub, b);
            first = b->next;
            outbox_give(&x->outbox, b);
        }
        struct effects *e = hub_end(x->hub);
        note_turn(x, thread_ns() - began);
        answer(x, e->events, e->n);
        effects_clear(e);
    } while (first != NULL);
}

/* Takes turns until there has been nothing to do for a while. */
static void settle_down(struct bench *x)
{
    do {
        turn(x);
        while (hub_deadline(x->hub) <= clock_ms() || x->outbox.first != NULL)
            turn(x);
        lane_wait(&x->lane, QUIET_MS);
    } while (hub_deadline(x->hub) <= clock_ms() || x->lane.first != NULL);
}

static void begin_timing(struct bench *x)
{
    settle_down(x);
    x->is_timed = true;
}

/* ---- The keeper's ear and the hub's */

static void on_durable(void *arg, uint64_t position, uint64_t changes)
{
    hub_tell_durable(arg, position, changes);
}

static void on_loaded(void *arg, struct load *l)
{
    hub_tell_loaded(arg, l);
}

static void on_disk_alarm(void *arg, bool is_set)
{
    hub_tell_disk_alarm(arg, is_set);
}

static void keep(void *keeper, struct sheaf *records)
{
    keeper_keep(keeper, records);
}

static uint64_t pending(void *keeper)
{
    return keeper_pending(keeper);
}

static void weak_random(void *to, size_t n)
{
    uint8_t *at = to;
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)rand();
}

static void start(struct bench *x)
{
    const char *tmp = getenv("TMPDIR");
    int error = 0;
    char *why = NULL;
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    snprintf(x->folder, sizeof x->folder, "%s/stalls.XXXXXX",
             tmp != NULL && strlen(tmp) < NAME_ROOM / 2 ? tmp : "/tmp");
    if (mkdtemp(x->folder) == NULL)
        die("%s: %s", x->folder, strerror(errno));
    x->disk = disk_real_create(x->folder, &error);
    CHECK(x->disk != NULL);
    const struct store_config sc = {.disk = x->disk, .random = weak_random};
    const struct store_witness nobody = {0};
    if (store_open(&sc, &nobody, &x->store, &why) != STORE_FINE || store_begin(x->store) != STORE_FINE)
        die("%s: %s", x->folder, why != NULL ? why : "cannot begin");
    x->keeper = keeper_create(&(struct keeper_config){
        .store = x->store, .disk = x->disk, .is_disk_limit_chosen = true, .disk_limit = 1 << 20});
    const struct hub_keeper hk = {.keep = keep,
                                  .pending = pending,
                                  .pending_max = keeper_pending_max(x->keeper),
                                  .pending_easy = keeper_pending_max(x->keeper) / 2,
                                  .arg = x->keeper};
    struct broker *broker = broker_create(&(struct broker_config){
        .default_vhost = "/", .hash_seed = 5, .memory_high = (uint64_t)MEMORY_HIGH << 20, .records = true});
    guest_let_in(broker);
    outbox_init(&x->outbox);
    lane_init(&x->lane);
    x->hub = hub_create(broker, &hk, 0);
    hub_attach(x->hub, &x->lane);
    keeper_start(
        x->keeper,
        &(struct keeper_ear){.durable = on_durable, .loaded = on_loaded, .disk_alarm = on_disk_alarm, .arg = x->hub});
    outbox_add(&x->outbox, ATTACH, client(0, 0), 0)->spec = guest_attach();
    turn(x);
}

/* The process ends: what it holds is not freed, which would take long and tell nothing. */
static void stop(struct bench *x)
{
    keeper_stop(x->keeper);
    keeper_destroy(x->keeper);
    char command[NAME_ROOM * 2];
    snprintf(command, sizeof command, "rm -rf '%s'", x->folder);
    if (system(command) != 0)
        fprintf(stderr, "%s was not removed\n", x->folder);
}

/* ---- What clients and administrators say */

static struct command *say(struct bench *x, enum verb verb, struct origin from)
{
    return outbox_add(&x->outbox, verb, from, 0);
}

static void pace(struct bench *x, uint64_t i)
{
    if (i % TURN_COMMANDS == TURN_COMMANDS - 1)
        turn(x);
}

static struct spec *queue_spec(const char *name)
{
    return spec_create(
        &(struct spec){.name = bytes_of_string(name), .vhost = BYTES("/"), .options = QUEUE_OPTIONS_NONE});
}

static void declare(struct bench *x, const char *name, struct origin from, bool durable, bool exclusive)
{
    struct command *c = say(x, DECLARE_QUEUE, from);
    c->spec = queue_spec(name);
    c->spec->durable = durable;
    c->spec->exclusive = exclusive;
}

static void declare_many(struct bench *x, uint64_t n, struct origin from, bool durable, bool exclusive)
{
    char name[NAME_ROOM];
    for (uint64_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "q-%" PRIu64, i);
        declare(x, name, from, durable, exclusive);
        pace(x, i);
    }
    turn(x);
}

static void publish(struct bench *x, const char *queue, uint64_t n, bool persistent, uint64_t expiration_ms)
{
    static const uint8_t body[BODY];
    for (uint64_t i = 0; i < n; i++) {
        const struct message_spec spec = {.routing_key = bytes_of_string(queue),
                                          .properties = bytes_of("\0\0", 2),
                                          .flags = persistent ? MESSAGE_PERSISTENT : 0,
                                          .expiration_ms = expiration_ms};
        say(x, PUBLISH, client(0, 0))->publish.msg = message_create_whole(&spec, bytes_of(body, sizeof body));
        pace(x, i);
        while (i % TURN_COMMANDS == 0 && keeper_pending(x->keeper) > keeper_pending_max(x->keeper) / 2)
            usleep(1000);
    }
    turn(x);
}

static struct changes *alter(struct bench *x)
{
    struct command *c = say(x, ALTER, desk);
    c->changes = changes_create();
    return c->changes;
}

static struct spec *policy(const char *pattern, const char *key, int64_t limit)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    uint8_t *value = table_open(&p, BYTES("value"), 'F');
    table_put_string(&p, BYTES("pattern"), bytes_of_string(pattern));
    table_put_i64(&p, BYTES("priority"), 0);
    table_put_string(&p, BYTES("apply-to"), BYTES("queues"));
    uint8_t *definition = table_open(&p, BYTES("definition"), 'F');
    table_put_i64(&p, bytes_of_string(key), limit);
    table_close(&p, definition);
    table_close(&p, value);
    return spec_create(
        &(struct spec){.vhost = BYTES("/"), .name = BYTES("p"), .type = BYTES("policy"), .arguments = pen_written(&p)});
}

static void put_policy(struct bench *x, const char *pattern, const char *key, int64_t value)
{
    changes_add(alter(x), CHANGE_PUT, DEFINE_PARAMETER, policy(pattern, key, value));
}

static void name_queue(struct bench *x, enum verb verb, const char *queue)
{
    say(x, verb, client(0, 0))->spec = queue_spec(queue);
}

static void subscribe(struct bench *x, const char *queue)
{
    say(x, SUBSCRIBE, client(0, 1))->subscribe.spec = queue_spec(queue);
}

/* ---- A backlog goes */

static void purge_short(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, false, MESSAGE_NO_EXPIRATION);
    begin_timing(x);
    name_queue(x, PURGE_QUEUE, "q");
}

static void purge_persistent(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, true, MESSAGE_NO_EXPIRATION);
    begin_timing(x);
    name_queue(x, PURGE_QUEUE, "q");
}

static void delete_queue(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, true, MESSAGE_NO_EXPIRATION);
    begin_timing(x);
    name_queue(x, DELETE_QUEUE, "q");
}

/* The hub sleeps until all of them are overdue. */
static void expire(struct bench *x, uint64_t n, uint64_t ttl_ms)
{
    enum { MS_PER_THOUSAND = 20 };
    uint64_t end = clock_ms() + n * MS_PER_THOUSAND / 1000 + 1000;
    publish(x, "q", n, true, ttl_ms > 0 ? ttl_ms : n * MS_PER_THOUSAND / 1000);
    while (clock_ms() < end)
        usleep(1000);
    x->is_timed = true;
}

static void expire_messages(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    turn(x);
    expire(x, n, 0);
}

static void expire_queue(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, true, MESSAGE_NO_EXPIRATION);
    begin_timing(x);
    put_policy(x, "^q$", "message-ttl", 1);
}

/* ---- Options and policies */

static void policy_on_pile(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, false, MESSAGE_NO_EXPIRATION);
    begin_timing(x);
    put_policy(x, "^q$", "max-length", 1 << 30);
}

static void ttl_on_pile(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, false, MESSAGE_NO_EXPIRATION);
    begin_timing(x);
    put_policy(x, "^q$", "message-ttl", 1 << 30);
}

static void length_on_pile(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, false, MESSAGE_NO_EXPIRATION);
    begin_timing(x);
    put_policy(x, "^q$", "max-length", 1);
}

static void policy_on_queues(struct bench *x, uint64_t n)
{
    declare_many(x, n, client(0, 0), true, false);
    begin_timing(x);
    put_policy(x, "^q-", "max-length", 1 << 30);
}

static void policy_on_none(struct bench *x, uint64_t n)
{
    declare_many(x, n, client(0, 0), true, false);
    begin_timing(x);
    put_policy(x, "^other", "max-length", 1 << 30);
}

/* ---- Definitions */

static void import_queues(struct bench *x, uint64_t n)
{
    char name[NAME_ROOM];
    begin_timing(x);
    struct changes *all = alter(x);
    for (uint64_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "q-%" PRIu64, i);
        struct spec *s = queue_spec(name);
        s->durable = true;
        changes_add(all, CHANGE_PUT, DEFINE_QUEUE, s);
        changes_add(all, CHANGE_PUT, DEFINE_BINDING,
                    spec_create(&(struct spec){.vhost = BYTES("/"),
                                               .source = BYTES("amq.topic"),
                                               .name = bytes_of_string(name),
                                               .key = BYTES("a.*.b")}));
    }
}

static void bind_many(struct bench *x, const char *exchange, uint64_t n)
{
    char key[NAME_ROOM];
    uint8_t room[TABLE_ROOM];
    for (uint64_t i = 0; i < n; i++) {
        struct pen p = pen_over(room, sizeof room);
        snprintf(key, sizeof key, "key.%" PRIu64 ".b", i);
        table_put_string(&p, BYTES("h"), bytes_of_string(key));
        say(x, BIND, client(0, 0))->spec = spec_create(&(struct spec){.name = BYTES("q"),
                                                                      .source = bytes_of_string(exchange),
                                                                      .key = bytes_of_string(key),
                                                                      .arguments = pen_written(&p)});
        pace(x, i);
    }
    turn(x);
}

static void declare_exchange(struct bench *x, const char *name, const char *type)
{
    say(x, DECLARE_EXCHANGE, client(0, 0))->spec =
        spec_create(&(struct spec){.name = bytes_of_string(name), .type = bytes_of_string(type), .durable = true});
}

static void delete_exchange(struct bench *x, uint64_t n, const char *type)
{
    declare_exchange(x, "x", type);
    declare(x, "q", client(0, 0), true, false);
    bind_many(x, "x", n);
    begin_timing(x);
    say(x, DELETE_EXCHANGE, client(0, 0))->spec = spec_create(&(struct spec){.name = BYTES("x")});
}

static void delete_topic(struct bench *x, uint64_t n)
{
    delete_exchange(x, n, "topic");
}

static void delete_direct(struct bench *x, uint64_t n)
{
    delete_exchange(x, n, "direct");
}

static void delete_bound_queue(struct bench *x, uint64_t n)
{
    declare_exchange(x, "x", "topic");
    declare(x, "q", client(0, 0), true, false);
    bind_many(x, "x", n);
    begin_timing(x);
    name_queue(x, DELETE_QUEUE, "q");
}

/* The letters of 32 queues go through it as well. */
static void explain_headers(struct bench *x, uint64_t n)
{
    enum { QUEUES = 32 };
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    char name[NAME_ROOM];
    declare_exchange(x, "x", "headers");
    declare(x, "q", client(0, 0), true, false);
    turn(x);
    bind_many(x, "x", n);
    table_put_string(&p, BYTES("x-dead-letter-exchange"), BYTES("x"));
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof name, "d-%u", i);
        struct spec s = {.name = bytes_of_string(name), .arguments = pen_written(&p), .options = QUEUE_OPTIONS_NONE};
        queue_options_of_arguments(s.arguments, &s.options);
        say(x, DECLARE_QUEUE, client(0, 0))->spec = spec_create(&s);
        say(x, BIND, client(0, 0))->spec = spec_create(&(struct spec){.name = s.name, .source = BYTES("x")});
    }
    begin_timing(x);
    struct bytes v = BYTES("/"), e = BYTES("x");
    struct inspection *i = inspection_create(INSPECT_ROUTE, &v, &e);
    i->msg = message_create(&(struct message_spec){.exchange = e,
                                                   .routing_key = BYTES("a"),
                                                   .properties = bytes_of("\0\0", 2),
                                                   .expiration_ms = MESSAGE_NO_EXPIRATION});
    say(x, INSPECT, desk)->inspection = i;
}

static void delete_vhost(struct bench *x, uint64_t n)
{
    declare_many(x, n, client(0, 0), true, false);
    begin_timing(x);
    changes_add(alter(x), CHANGE_REMOVE, DEFINE_VHOST, spec_create(&(struct spec){.name = BYTES("/")}));
}

/* ---- Clients go */

static void exclusive_queues(struct bench *x, uint64_t n)
{
    declare_many(x, n, client(0, 0), false, true);
    begin_timing(x);
    say(x, DETACH, client(0, 0));
}

static void consume_all(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    publish(x, "q", n, true, MESSAGE_NO_EXPIRATION);
    subscribe(x, "q");
    while (x->delivered < n) {
        turn(x);
        lane_wait(&x->lane, 1);
    }
    begin_timing(x);
}

static void close_channel(struct bench *x, uint64_t n)
{
    consume_all(x, n);
    say(x, RESET, client(0, 1));
}

static void recover(struct bench *x, uint64_t n)
{
    consume_all(x, n);
    say(x, RECOVER, client(0, 1));
}

static void settle_all(struct bench *x, uint64_t n, enum outcome outcome)
{
    consume_all(x, n);
    for (size_t i = 0; i < n; i += 1 + SETTLE_MORE_MAX) {
        size_t more = n - i - 1 < SETTLE_MORE_MAX ? n - i - 1 : SETTLE_MORE_MAX;
        struct command *c = say(x, SETTLE, client(0, 1));
        c->settle.ticket = x->tickets[i];
        c->settle.outcome = outcome;
        c->settle.more_count = (uint32_t)more;
        c->settle.more = alloc_copy(&x->tickets[i + 1], more * sizeof(ticket));
    }
}

static void acknowledge_all(struct bench *x, uint64_t n)
{
    settle_all(x, n, ACCEPTED);
}

static void delete_consumed(struct bench *x, uint64_t n)
{
    consume_all(x, n);
    name_queue(x, DELETE_QUEUE, "q");
}

static void many_channels(struct bench *x, uint64_t n)
{
    enum { CHANNELS = 65535 };
    char name[NAME_ROOM];
    uint64_t channels = n < CHANNELS ? n : CHANNELS, each = n / channels;
    for (unsigned i = 0; i < each; i++) {
        snprintf(name, sizeof name, "q-%u", i);
        declare(x, name, client(0, 0), true, false);
        publish(x, name, channels, false, MESSAGE_NO_EXPIRATION);
    }
    for (uint64_t c = 0; c < channels; c++) {
        for (unsigned i = 0; i < each; i++) {
            snprintf(name, sizeof name, "q-%u", i);
            say(x, GET, client(0, (uint16_t)c))->spec = queue_spec(name);
        }
        if (c % 64 == 0)
            turn(x);
    }
    begin_timing(x);
    say(x, DETACH, client(0, 0));
}

/* Each with a consumer, and all consumers with one client. */
static void many_consumers(struct bench *x, uint64_t n)
{
    declare(x, "q", client(0, 0), true, false);
    for (uint64_t i = 0; i < n; i++) {
        struct command *c = say(x, SUBSCRIBE, client(0, 1));
        c->subscribe.spec = queue_spec("q");
        c->subscribe.consumer = (uint32_t)i;
        pace(x, i);
    }
    begin_timing(x);
    say(x, DETACH, client(0, 0));
}

/* ---- */

static const struct scene scenes[] = {
    {"expire-policy", "a backlog gets a TTL that is over", expire_queue, 1000000},
    {"expire-messages", "messages with a TTL, all overdue at once", expire_messages, 300000},
    {"purge", "a backlog is purged", purge_short, 1000000},
    {"purge-persistent", "a backlog on disk is purged", purge_persistent, 1000000},
    {"delete-queue", "a queue with a backlog is deleted", delete_queue, 1000000},
    {"policy-pile", "a backlog's queue gets a policy", policy_on_pile, 1000000},
    {"policy-ttl", "… with a TTL", ttl_on_pile, 1000000},
    {"policy-length", "… with a length of 1", length_on_pile, 1000000},
    {"policy-queues", "queues get a policy", policy_on_queues, 100000},
    {"policy-none", "a policy for none of many queues", policy_on_none, 100000},
    {"import", "queues and bindings are imported", import_queues, 10000},
    {"explain-headers", "the route through bindings by headers", explain_headers, 100000},
    {"delete-direct", "a direct exchange with bindings is deleted", delete_direct, 1000000},
    {"delete-topic", "a topic exchange with bindings is deleted", delete_topic, 1000000},
    {"delete-bound-queue", "a queue with bindings is deleted", delete_bound_queue, 1000000},
    {"exclusive", "a client goes that has exclusive queues", exclusive_queues, 100000},
    {"many-channels", "a client goes whose channels have messages", many_channels, 1000000},
    {"many-consumers", "a client goes that has consumers", many_consumers, 100000},
    {"delete-vhost", "a virtual host with queues is deleted", delete_vhost, 10000},
    {"close-channel", "a channel closes that has messages", close_channel, 1000000},
    {"recover", "basic.recover of messages", recover, 1000000},
    {"acknowledge", "all of them are acknowledged", acknowledge_all, 1000000},
    {"delete-consumed", "the queue of messages that are out is deleted", delete_consumed, 1000000},
};

static void play(const struct scene *s, uint64_t share)
{
    struct bench *x = alloc_zeroed(sizeof *x);
    uint64_t n = s->n * share / 100;
    x->name = s->name;
    start(x);
    s->run(x, n > 0 ? n : 1);
    settle_down(x);
    printf("%-20s %-46s %9" PRIu64 " %9.2f %9" PRIu64 " %9.1f\n", s->name, s->what, n, (double)x->worst_ns / 1e6,
           x->turns, (double)x->all_ns / 1e6);
    fflush(stdout);
    stop(x);
}

int main(int argc, char **argv)
{
    unsigned long share = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    bool has_failed = false, has_played = false;
    log_set_level(LOG_ERROR_LEVEL);
    if (argc > 3 || share == 0)
        die("usage: bench_stalls [SHARE [NAME]]");
    printf("%-20s %-46s %9s %9s %9s %9s\n", "name", "what", "how many", "worst, ms", "turns", "all, ms");
    fflush(stdout);
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        if (argc > 2 && strcmp(argv[2], scenes[i].name) != 0)
            continue;
        has_played = true;
        pid_t pid = fork();
        if (pid == 0) {
            play(&scenes[i], share);
            _exit(0);
        }
        int status = 1;
        has_failed |= pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
    }
    return has_failed || !has_played;
}
