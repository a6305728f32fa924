/* Dead letters, limits, the lives of queues, and size. */
#include "interop.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

/* Entry i of the n in x-death. */
static const amqp_table_t *death(const struct message *m, int i, int n)
{
    const amqp_field_value_t *v = find(&m->properties.headers, "x-death");
    check((m->properties._flags & AMQP_BASIC_HEADERS_FLAG) && v, "no x-death");
    check(v->kind == AMQP_FIELD_KIND_ARRAY, "x-death has type %c", v->kind);
    check(v->value.array.num_entries == n, "x-death has %d entries, not %d", v->value.array.num_entries, n);
    check(v->value.array.entries[i].kind == AMQP_FIELD_KIND_TABLE, "x-death[%d] is no table", i);
    return &v->value.array.entries[i].value.table;
}

static void died(const amqp_table_t *e, int64_t count, const char *reason, const char *queue, const char *exchange,
                 const char *key)
{
    const amqp_field_value_t *v = find(e, "count");
    check(v && v->kind == AMQP_FIELD_KIND_I64 && v->value.i64 == count, "x-death count is not %d", (int)count);
    check(find_is(e, "reason", reason), "x-death reason is not %s", reason);
    check(find_is(e, "queue", queue), "x-death queue is not %s", queue);
    check(find_is(e, "exchange", exchange), "x-death exchange is not \"%s\"", exchange);
    v = find(e, "routing-keys");
    check(v && v->kind == AMQP_FIELD_KIND_ARRAY && v->value.array.num_entries == 1, "x-death routing-keys");
    v = &v->value.array.entries[0];
    check(v->kind == AMQP_FIELD_KIND_UTF8 && is(v->value.bytes, key), "x-death routing-keys is not [%s]", key);
    v = find(e, "time");
    check(v && v->kind == AMQP_FIELD_KIND_TIMESTAMP && llabs((long long)v->value.u64 - time(NULL)) < 60,
          "x-death time is not now");
}

static void first_death(const struct message *m, const char *reason, const char *queue, const char *exchange)
{
    const amqp_table_t *h = &m->properties.headers;
    check(find_is(h, "x-first-death-reason", reason), "x-first-death-reason is not %s", reason);
    check(find_is(h, "x-first-death-queue", queue), "x-first-death-queue is not %s", queue);
    check(find_is(h, "x-first-death-exchange", exchange), "x-first-death-exchange is not \"%s\"", exchange);
}

static void dead_letter_reject(void)
{
    struct channel ch = channel_new();
    const char *x = exchange_new(ch, "direct");
    const char *dlx = exchange_new(ch, "fanout");
    const char *dead = queue_new(ch);
    bind_queue(ch, dead, dlx, "", amqp_empty_table);
    const char *q = queue_with(ch, TABLE(entry_string("x-dead-letter-exchange", dlx)));
    bind_queue(ch, q, x, "key", amqp_empty_table);
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
                                 .headers = TABLE(entry_string("mine", "kept")),
                                 .message_id = amqp_cstring_bytes("id")};
    publish_with(ch, x, "key", false, &p, amqp_cstring_bytes("dies"));
    reject(ch, get(ch, q, false, "dies").tag);
    struct message m = get_soon(ch, dead, "dies");
    came_from(&m, dlx, "key");
    check(is(m.properties.message_id, "id"), "message id %s", text(m.properties.message_id));
    check(find_is(&m.properties.headers, "mine", "kept"), "the publisher's header is lost");
    died(death(&m, 0, 1), 1, "rejected", q, x, "key");
    first_death(&m, "rejected", q, x);
    empty(ch, q);
    empty(ch, dead);
}

static void dead_letter_count(void)
{
    struct channel ch = channel_new();
    const char *work = name_new();
    const char *retry = name_new();
    declare(ch, work, false, false, false,
            TABLE(entry_string("x-dead-letter-exchange", ""), entry_string("x-dead-letter-routing-key", retry)));
    declare(ch, retry, false, false, false,
            TABLE(entry_string("x-dead-letter-exchange", ""), entry_string("x-dead-letter-routing-key", work),
                  entry_int("x-message-ttl", 20)));
    consume(ch, work, "", false);
    publish(ch, "", work, "again");
    struct message m = next(ch, "again", false);
    for (int i = 1; i <= 2; i++) {
        reject(ch, m.tag);
        m = next(ch, "again", false);
        died(death(&m, 0, 2), i, "expired", retry, "", retry);
        died(death(&m, 1, 2), i, "rejected", work, "", work);
        first_death(&m, "rejected", work, "");
    }
    ack(ch, m.tag, false);
}

static const char *dying_into(struct channel ch, const char *dead, amqp_table_entry_t more)
{
    return queue_with(
        ch, TABLE(entry_string("x-dead-letter-exchange", ""), entry_string("x-dead-letter-routing-key", dead), more));
}

static void ttl_queue(void)
{
    struct channel ch = channel_new();
    const char *dead = queue_new(ch);
    const char *q = dying_into(ch, dead, entry_int("x-message-ttl", 50));
    publish(ch, "", q, "expires");
    struct message m = get_soon(ch, dead, "expires");
    const amqp_table_t *e = death(&m, 0, 1);
    died(e, 1, "expired", q, "", q);
    check(!find(e, "original-expiration"), "there is an original-expiration");
    came_from(&m, "", dead);
    empty(ch, q);
}

static void ttl_message(void)
{
    struct channel ch = channel_new();
    const char *dead = queue_new(ch);
    const char *q = dying_into(ch, dead, entry_int("x-max-length", 100));
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_EXPIRATION_FLAG, .expiration = amqp_cstring_bytes("50")};
    publish_with(ch, "", q, false, &p, amqp_cstring_bytes("expires"));
    struct message m = get_soon(ch, dead, "expires");
    const amqp_table_t *e = death(&m, 0, 1);
    died(e, 1, "expired", q, "", q);
    check(find_is(e, "original-expiration", "50"), "original-expiration is not 50");
    check(!(m.properties._flags & AMQP_BASIC_EXPIRATION_FLAG), "the expiration is still there");
    first_death(&m, "expired", q, "");
    empty(ch, q);
}

static void max_length(void)
{
    struct channel ch = channel_new();
    const char *dead = queue_new(ch);
    const char *q = dying_into(ch, dead, entry_int("x-max-length", 3));
    publish_many(ch, q, 5);
    for (int i = 0; i < 2; i++) {
        struct message m = get_soon(ch, dead, numbered(i));
        died(death(&m, 0, 1), 1, "maxlen", q, "", q);
    }
    ready(ch, q, 3);
    for (int i = 2; i < 5; i++)
        get(ch, q, true, numbered(i));
    empty(ch, q);
    empty(ch, dead);
}

/* Nothing happens on the connection for so long. */
static void silence(amqp_connection_state_t conn, int ms)
{
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(conn, &frame, &limit);
    check(status == AMQP_STATUS_TIMEOUT, "not silent: %s", amqp_error_string2(status));
}

/* A passive declare starts x-expires anew, so it must not be asked more often than that. */
static void queue_expires(void)
{
    struct channel ch = channel_new();
    const char *q = queue_with(ch, TABLE(entry_int("x-expires", 200)));
    int64_t end = deadline();
    do {
        pause_before(end, "the queue expires");
        silence(ch.conn, 400);
    } while (exists(ch.conn, 2, q));
    alive(ch.conn, 3);
}

static void exclusive_queue(void)
{
    struct channel owner = channel_new();
    struct channel other = channel_new();
    const char *q = name_new();
    declare(owner, q, false, true, false, amqp_empty_table);
    declare_passively(other, q);
    refused(other, AMQP_RESOURCE_LOCKED, q);
    disconnect(owner.conn);
    gone(other.conn, 2, q);
}

static void stop(struct channel ch, const char *tag)
{
    amqp_basic_cancel(ch.conn, ch.number, amqp_cstring_bytes(tag));
    answered(ch, "basic.cancel");
}

static void auto_delete(void)
{
    struct channel ch = channel_new();
    const char *q = name_new();
    declare(ch, q, false, false, true, amqp_empty_table);
    consume(ch, q, "one", true);
    consume(ch, q, "two", true);
    stop(ch, "one");
    amqp_queue_declare_ok_t *ok = declare_passively(ch, q);
    answered(ch, "passive declare");
    check(ok->consumer_count == 1, "%u consumers, not 1", ok->consumer_count);
    stop(ch, "two");
    for (int64_t end = deadline(); exists(ch.conn, 2, q);)
        pause_before(end, "the queue is gone");
}

static void purge_delete(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    amqp_bytes_t name = amqp_cstring_bytes(q);
    publish_many(ch, q, 3);
    amqp_queue_purge_ok_t *purged = amqp_queue_purge(ch.conn, ch.number, name);
    answered(ch, "queue.purge");
    check(purged->message_count == 3, "purge counts %u, not 3", purged->message_count);
    empty(ch, q);
    publish_many(ch, q, 2);
    ready_soon(ch, q, 2);
    struct channel other = channel_on(ch.conn, 2);
    amqp_queue_delete(other.conn, other.number, name, 0, 1);
    refused(other, AMQP_PRECONDITION_FAILED, "not empty");
    struct channel user = channel_on(connect_new(), 1);
    consume(user, q, "user", false);
    other = channel_on(ch.conn, 3);
    amqp_queue_delete(other.conn, other.number, name, 1, 0);
    refused(other, AMQP_PRECONDITION_FAILED, "in use");
    next(user, numbered(0), false);
    next(user, numbered(1), false);
    disconnect(user.conn);
    ready_soon(ch, q, 2);
    amqp_queue_delete_ok_t *deleted = amqp_queue_delete(ch.conn, ch.number, name, 1, 0);
    answered(ch, "queue.delete");
    check(deleted->message_count == 2, "delete counts %u, not 2", deleted->message_count);
    gone(ch.conn, 4, q);
}

static void exclusive_consumer(void)
{
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    amqp_basic_consume(ch.conn, ch.number, amqp_cstring_bytes(q), amqp_empty_bytes, 0, 1, 1, amqp_empty_table);
    answered(ch, "consume exclusively");
    struct channel other = channel_on(ch.conn, 2);
    amqp_basic_consume(ch.conn, other.number, amqp_cstring_bytes(q), amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    refused(other, AMQP_ACCESS_REFUSED, "exclusive");
    publish(ch, "", q, "for the first");
    next(ch, "for the first", false);
}

static void channel_error_recovery(void)
{
    struct channel ch = channel_new();
    publish(ch, name_new(), "key", "lost");
    closed(ch, AMQP_NOT_FOUND, "no exchange '");
    alive(ch.conn, 2);
}

static void many_channels(void)
{
    amqp_connection_state_t conn = connect_new();
    int n = amqp_get_channel_max(conn);
    check(n > 0, "channel_max is %d", n);
    n = n > 1000 ? 1000 : n;
    for (int i = 1; i <= n; i++)
        channel_on(conn, i);
    for (int i = 1; i <= n; i++) { /* exclusive: all go with the connection */
        struct channel ch = {.conn = conn, .number = (amqp_channel_t)i};
        const char *q = text(declare(ch, "", false, true, false, amqp_empty_table)->queue);
        publish(ch, "", q, numbered(i));
        get(ch, q, true, numbered(i));
        empty(ch, q);
    }
    for (int i = 1; i <= n; i++)
        channel_shut((struct channel){.conn = conn, .number = (amqp_channel_t)i});
}

static void large_bodies(void)
{
    static const size_t sizes[] = {0, 1, 4096, 131072, 1 << 20, 16 << 20};
    struct channel ch = channel_new();
    const char *q = queue_new(ch);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        amqp_bytes_t body = amqp_bytes_malloc(sizes[i]);
        for (size_t at = 0; at < body.len;) {
            ssize_t n = getrandom((char *)body.bytes + at, body.len - at, 0);
            check(n > 0, "getrandom");
            at += (size_t)n;
        }
        publish_with(ch, "", q, false, NULL, body);
        struct message m;
        check(try_get(ch, q, true, &m), "the queue is empty, not holding %zu bytes", body.len);
        check(m.body.len == body.len, "%zu bytes, not %zu", m.body.len, body.len);
        check(body.len == 0 || memcmp(m.body.bytes, body.bytes, body.len) == 0, "%zu bytes differ", body.len);
        amqp_bytes_free(body);
    }
    empty(ch, q);
}

static void heartbeat(void)
{
    amqp_connection_state_t conn = connect_beating(1);
    check(amqp_get_heartbeat(conn) == 1, "heartbeat is %d s", amqp_get_heartbeat(conn));
    silence(conn, 3200);
    alive(conn, 1);
}

const struct scenario features[] = {{"dead-letter-reject", dead_letter_reject},
                                    {"dead-letter-count", dead_letter_count},
                                    {"ttl-queue", ttl_queue},
                                    {"ttl-message", ttl_message},
                                    {"max-length", max_length},
                                    {"queue-expires", queue_expires},
                                    {"exclusive-queue", exclusive_queue},
                                    {"auto-delete", auto_delete},
                                    {"purge-delete", purge_delete},
                                    {"exclusive-consumer", exclusive_consumer},
                                    {"channel-error-recovery", channel_error_recovery},
                                    {"many-channels", many_channels},
                                    {"large-bodies", large_bodies},
                                    {"heartbeat", heartbeat},
                                    {NULL, NULL}};
