/* What the scenarios for rabbitmq-c ask and check.
 *
 * Every scenario is a process of its own: a check that fails ends it, and what it allocates goes with it.  Names are
 * numbered, so that the parent can delete what the scenario made however it ended.
 */
#ifndef INTEROP_H
#define INTEROP_H

#if defined(__has_include)
#if __has_include(<rabbitmq-c/amqp.h>)
#define HAVE_RABBITMQ_C_FOLDER 1
#endif
#endif
#ifdef HAVE_RABBITMQ_C_FOLDER
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCENARIO_S = 30, WAIT_MS = 10000, QUIET_MS = 50, NAME_LIMIT = 64, CONNECTION_LIMIT = 8, REASON_LIMIT = 1024 };

struct scenario {
    const char *name;
    void (*run)(void);
};

/* One array a file, each ending with a NULL name. */
extern const struct scenario basics[];
extern const struct scenario deliveries[];
extern const struct scenario features[];

struct channel {
    amqp_connection_state_t conn; /* borrowed */
    amqp_channel_t number;
};

/* A message that was got, delivered or returned.  Strings end with a zero byte. */
struct message {
    uint64_t tag;
    bool redelivered;
    const char *exchange;
    const char *key;
    const char *consumer;
    uint32_t left; /* the count in get-ok */
    amqp_basic_properties_t properties;
    amqp_bytes_t body;
};

/* Says why and ends the scenario. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define check(ok, ...) ((ok) ? (void)0 : fail(__VA_ARGS__))

const char *setting(const char *name, const char *otherwise);
const char *name_new(void);       /* a queue's or exchange's, deleted at the end */
const char *text(amqp_bytes_t b); /* a copy */
const char *numbered(int i);      /* "message i" */
bool is(amqp_bytes_t b, const char *s);

/* connections and channels */
amqp_rpc_reply_t try_connect(amqp_connection_state_t *conn, const char *vhost, const char *password, int heartbeat);
amqp_connection_state_t connect_beating(int heartbeat);
amqp_connection_state_t connect_new(void);
void disconnect(amqp_connection_state_t conn);
void disconnect_all(void);
struct channel channel_on(amqp_connection_state_t conn, int number);
struct channel channel_new(void); /* on a connection of its own */
void channel_shut(struct channel ch);
void answered(struct channel ch, const char *what); /* the last call succeeded */
void refused(struct channel ch, int code, const char *part);
void is_refusal(amqp_rpc_reply_t reply, amqp_method_number_t id, int code, const char *part);
void alive(amqp_connection_state_t conn, int number);

/* queues and exchanges */
const char *queue_with(struct channel ch, amqp_table_t arguments);
const char *queue_new(struct channel ch);
const char *exchange_with(struct channel ch, const char *type, amqp_table_t arguments);
const char *exchange_new(struct channel ch, const char *type);
void bind_queue(struct channel ch, const char *queue, const char *exchange, const char *key, amqp_table_t arguments);
amqp_queue_declare_ok_t *declare(struct channel ch, const char *queue, bool durable, bool exclusive, bool auto_delete,
                                 amqp_table_t arguments);
amqp_queue_declare_ok_t *declare_passively(struct channel ch, const char *queue);
void ready(struct channel ch, const char *queue, unsigned n);
void ready_soon(struct channel ch, const char *queue, unsigned n);
void gone(amqp_connection_state_t conn, int number, const char *queue);
bool exists(amqp_connection_state_t conn, int number, const char *queue);

/* messages */
void publish(struct channel ch, const char *exchange, const char *key, const char *body);
void publish_with(struct channel ch, const char *exchange, const char *key, bool mandatory,
                  const amqp_basic_properties_t *properties, amqp_bytes_t body);
void publish_many(struct channel ch, const char *queue, int n); /* "message 0" to "message n-1" */
bool try_get(struct channel ch, const char *queue, bool no_ack, struct message *m);
struct message get(struct channel ch, const char *queue, bool no_ack, const char *body);
struct message get_soon(struct channel ch, const char *queue, const char *body);
void empty(struct channel ch, const char *queue);
void came_from(const struct message *m, const char *exchange, const char *key);
void consume(struct channel ch, const char *queue, const char *tag, bool no_ack);
struct message next_on(struct channel *ch); /* of any channel of the connection; ch->number becomes whose */
struct message next(struct channel ch, const char *body, bool redelivered);
void ack(struct channel ch, uint64_t tag, bool multiple);
void nack(struct channel ch, uint64_t tag, bool requeue);
void reject(struct channel ch, uint64_t tag);

/* Nothing comes.  Use after an answer that the server gives later than what must not come. */
void quiet(amqp_connection_state_t conn);
/* The next frame, which must be this method; its fields. */
void *await(struct channel ch, amqp_method_number_t id);
void read_content(struct channel ch, struct message *m);
/* The server closes the channel by itself. */
void closed(struct channel ch, int code, const char *part);
/* Publishes first to last are all acknowledged, or all refused, and no others are. */
void confirmed(struct channel ch, unsigned first, unsigned last, bool acked);

/* Waits between two questions of a loop that asks until end_ms (see deadline), and fails when that is over. */
int64_t deadline(void);
void pause_before(int64_t end_ms, const char *what);

/* tables */
amqp_table_entry_t entry_string(const char *key, const char *value);
amqp_table_entry_t entry_int(const char *key, int32_t value);
amqp_table_entry_t entry_bool(const char *key, bool value);
amqp_table_entry_t entry_table(const char *key, amqp_table_t value);
const amqp_field_value_t *find(const amqp_table_t *t, const char *key); /* NULL if there is none */
bool find_is(const amqp_table_t *t, const char *key, const char *value);
bool value_same(const amqp_field_value_t *a, const amqp_field_value_t *b);
#define TABLE(...)                                                                                                     \
    ((amqp_table_t){.num_entries = (int)(sizeof((amqp_table_entry_t[]){__VA_ARGS__}) / sizeof(amqp_table_entry_t)),    \
                    .entries = (amqp_table_entry_t[]){__VA_ARGS__}})

#endif
