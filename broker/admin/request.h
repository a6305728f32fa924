/* A request on its way: read, turned into commands, and answered when their answers have come.
 *
 * A handler (api.h) looks at the request and then either answers at once, with request_reply() or request_fail(), or
 * asks the model, with request_alter(), request_inspect() or request_expel(), and names the function that goes on when
 * the answer is there.  Every road must end in one answer; after it the request is gone.  That its client goes away
 * meanwhile changes nothing: the answer is dropped then.
 *
 * One command of a request is under way at a time.  All of this is on the administration's thread.
 */
#ifndef BROKER_ADMIN_REQUEST_H
#define BROKER_ADMIN_REQUEST_H

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "broker/admin/admin.h"
#include "broker/admin/http_head.h"
#include "broker/admin/look.h"
#include "broker/port/change.h"
#include "broker/port/event.h"
#include "broker/port/inspection.h"
#include "broker/port/spec.h"

enum {
    REQUEST_SEGMENTS_MAX = 10, /* of a path */
    REQUEST_ACTOR_MAX = 400,
    REQUEST_PATH_NAME_MAX = 1024 /* bytes of a segment */
};

struct definitions_writer;
struct identification;
struct http_call;
struct hub;
struct listing;
struct metrics;
struct move;
struct request;
struct route;
struct ticker;
struct visit;
struct visitor;
typedef void request_fn(struct request *r);
typedef void answer_fn(struct request *r, struct event *e); /* what the event owns is dropped after it */

struct request {
    struct admin *admin;         /* borrowed */
    struct http_call *http;      /* borrowed; NULL: its client has gone */
    bool is_reading;             /* its body is awaited … */
    bool is_writing;             /* … or that a piece of its answer was written */
    uint32_t slot, generation;   /* whom events are for */
    enum evhttp_cmd_type method; /* HEAD is GET here */
    enum entrance entrance;
    bool is_tls;
    const struct route *route;             /* NULL: none was found yet */
    struct address from;                   /* the peer's */
    char peer[ADDRESS_TEXT_MAX];           /* as text; "unix" */
    struct identification *identification; /* owned: while it is found out who asks */
    struct visitor *visitor;               /* owned: the user who asks; NULL: the machine's administrator (visitor.h) */
    struct evkeyvalq query;
    struct look look;
    char *path;                               /* owned: decoded */
    struct bytes param[REQUEST_SEGMENTS_MAX]; /* views: what stands for {…} in the route's path, in order */
    unsigned n_params;
    json_t *body;                  /* owned: an object; NULL: there was none */
    struct bytes text;             /* owned: the body as it came, where the route wants that */
    char actor[REQUEST_ACTOR_MAX]; /* for the log: "uid:0", "alice from 10.0.0.1:40000" */

    /* A handler's, while it waits. */
    answer_fn *on_answer;
    struct listing *listing; /* owned; NULL: nothing is being listed */
    struct metrics *metrics; /* owned; NULL: it is no scrape */
    json_t *before;          /* owned: what an object was like before it is changed; NULL: there was none */
    request_fn *next, *fetched;
    int64_t number, more;              /* whatever it counts */
    struct move *move;                 /* owned: between two of its commands */
    uint64_t moved_bytes, kept;        /* by the commands so far */
    unsigned idle;                     /* commands in a row that found nothing */
    struct definitions_writer *writer; /* owned */
    json_t *warnings;                  /* owned */
    struct ticker *ticker;             /* owned */
    struct visit *visit;               /* owned; NULL: it is no client of the broker (visit.h) */
    struct link waiting;               /* for its turn to change something */
    bool has_turn;
};

/* ---- What was asked. */

/* The body's member of that name; NULL: it has none, or is null. */
json_t *request_member(const struct request *r, const char *name);

/* The same as text, borrowed from the body; false: it was answered 400, for it is something else.  Without one *text
 * is empty and at NULL. */
bool request_text(struct request *r, const char *name, struct bytes *text);

/* Text that must be there. */
bool request_need_text(struct request *r, const char *name, struct bytes *text);

/* Members that must be there, up to NULL.  False: it was answered 400 with the names of all that are not, as RabbitMQ
 * does. */
bool request_has_all(struct request *r, const char *const *names);

/* Booleans may be texts, "true" and "false"; numbers may be digits.  *value stays what it is if there is none. */
bool request_flag(struct request *r, const char *name, bool *value);
bool request_integer(struct request *r, const char *name, int64_t *value);

/* ?name=…; NULL: there is none. */
const char *request_query(const struct request *r, const char *name);
bool request_query_flag(const struct request *r, const char *name);

/* A request header, or NULL. */
const char *request_header(const struct request *r, const char *name);

/* ---- Answers.  The request is gone afterwards. */

/* With a body, which is taken, or without (NULL). */
void request_reply(struct request *r, enum http_status status, json_t *body);

/* With a body as text, which is taken over: JSON, unless a Content-Type was set.  A large one is packed if the client
 * accepts that, unless a Content-Encoding was set. */
void request_reply_buffer(struct request *r, enum http_status status, struct evbuffer *body);

/* The same in pieces, for what is long: the headers that were set; a piece, which is taken out of the buffer and is not
 * empty, and `then` is called when it was written; and the end, after which the request is gone.  If the client goes,
 * so does the request, and nothing is called. */
void request_begin_reply(struct request *r, enum http_status status);
void request_send(struct request *r, struct evbuffer *piece, request_fn *then);
void request_end_reply(struct request *r);

/* {"error": …, "reason": …} */
void request_fail(struct request *r, enum http_status status, const char *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void request_refuse(struct request *r, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* 400 bad_request */
void request_not_found(struct request *r);

/* 401, as RabbitMQ says it; text is the model's, which over the UNIX socket is told. */
void request_refuse_access(struct request *r, const char *text);

/* A header of the answer, before it. */
void request_set_header(struct request *r, const char *name, const char *value);
bool request_has_header(const struct request *r, const char *name);

/* ---- The model. */

/* Takes the changes.  They are judged by the visitor's rights, if there is a visitor (port/change.h). */
void request_alter(struct request *r, struct changes *c, answer_fn *then);

/* The same with no look at what the visitor may do: definitions are an administrator's, whose rights are no matter. */
void request_alter_as_administrator(struct request *r, struct changes *c, answer_fn *then);

void request_inspect(struct request *r, struct inspection *i, answer_fn *then); /* takes it */
void request_move(struct request *r, struct move *m, answer_fn *then);          /* takes it */
void request_prefetch(struct request *r, const struct spec *whom, uint16_t channel, uint32_t limit, answer_fn *then);
void request_cancel(struct request *r, const struct spec *whom, uint16_t channel, answer_fn *then);
void request_expel(struct request *r, const struct spec *whom, uint32_t limit, answer_fn *then);

/* Calls next when no other request that has asked for this is under way: for those that read, change and write back. */
void request_take_turn(struct request *r, request_fn *next);

/* Calls next after so long. */
void request_wait(struct request *r, uint64_t ms, request_fn *next);

/* A change with the members of an object, which is taken, as its arguments; NULL: none.  False: it was answered, and
 * the changes are gone. */
bool request_add_change(struct request *r, struct changes *c, enum change_kind kind, enum definition_class what,
                        const struct spec *names, json_t *arguments);

/* What most changes of one thing are answered: 201 made, 204 changed or removed, 404 nothing was there, 400 refused. */
void request_answer_change(struct request *r, struct event *e);

/* Answers what a command FAILED with. */
void request_answer_failure(struct request *r, const struct event *e);

/* True: that is DONE.  Otherwise it was answered. */
bool request_is_done(struct request *r, const struct event *e);

const struct admin_config *request_config(const struct request *r);
const struct hub *request_hub(const struct request *r);
uint64_t request_uptime_ms(const struct request *r);

/* ---- For admin.c and arrival.c. */

void request_on_event(struct request *r, struct event *e);
void request_destroy(struct request *r);

/* Wipes the body's text: it may hold a password. */
void request_forget_text(struct request *r);
#endif
