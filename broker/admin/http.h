/* HTTP/1.1 for the administration: requests and answers, one of each connection at a time (caller.h).
 *
 * A request is told in two steps, so that nobody's body is kept in memory before it is known who that is:
 *
 *     head    line and fields are there → http_accept_body() or http_reply()
 *     body    what was accepted is there → http_reply()
 *     gone    instead of either: the client has gone, and there is nobody to answer
 *
 * A client may send the next request before it has the answer to this one: it is read afterwards.  What was not read of
 * a request that is answered is skipped, if it is little, or the connection ends, after a while in which the client
 * can read its answer.
 *
 * Every connection has a time for each thing that it does, in all, however many bytes it sends meanwhile; who goes when
 * there is no room for all is said in caller.h.  All of this is on one thread.
 */
#ifndef BROKER_ADMIN_HTTP_H
#define BROKER_ADMIN_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/admin/admin.h"
#include "broker/admin/http_head.h"
#include "broker/net/address.h"

struct evbuffer;
struct event_base;

/* Reliability C21. */
enum {
    HTTP_HEAD_MS = 10000,         /* from the first byte of a head to its last; a TLS handshake is part of the first */
    HTTP_IDLE_MS = 60000,         /* for the first byte of the next one */
    HTTP_BODY_MS = 30000,         /* for all of a body */
    HTTP_ANSWER_MS = 60000,       /* for taking an answer, and for each … */
    HTTP_ANSWER_BYTES_MS = 64,    /* … of so many bytes a millisecond more */
    HTTP_LINGER_MS = 2000,        /* for a client that was told something before it had said all */
    HTTP_LINGER_BYTES = 32 << 20, /* which it may go on to say */
    HTTP_SKIP_BYTES = 64 << 10,   /* of a body that nobody wants, for the sake of the connection */
    HTTP_READ_BYTES = 16 << 10,   /* read ahead of what is asked for */
};

struct http;
struct http_call; /* a request, from its head to its answer */

struct http_hooks {
    void (*head)(void *arg, struct http_call *c);
    void (*body)(void *owner, struct http_call *c);
    void (*gone)(void *owner);
    void *arg;
    unsigned idle_ms, head_ms; /* instead of HTTP_IDLE_MS, HTTP_HEAD_MS; 0: those */
};

struct http *http_create(struct event_base *base, const struct http_hooks *hooks);

/* Ends all connections; calls nobody. */
void http_destroy(struct http *h); /* NULL is allowed */

/* Accepts at a socket that listens, which it takes over.  `tls` is asked for at every connection: *tls may change. */
void http_listen(struct http *h, int fd, enum entrance entrance, struct tls *const *tls);

unsigned http_unwritten(const struct http *h); /* answers that their clients have not taken yet */

/* ---- A request. */

const struct http_head *http_head_of(const struct http_call *c);
const char *http_header(const struct http_call *c, const char *name); /* NULL: there is none */
enum entrance http_entrance(const struct http_call *c);
bool http_is_tls(const struct http_call *c);
const struct address *http_peer(const struct http_call *c);
int http_socket(const struct http_call *c);

/* From now on `body` and `gone` are told with this. */
void http_set_owner(struct http_call *c, void *owner);

/* It may be given up for somebody who comes, while it waits: a login that failed. */
void http_let_go(struct http_call *c, bool may_go);

/* Reads the body, if it has one and at most max bytes, and calls `body`, perhaps at once; where it turns out to be
 * longer, that is answered 413, and 503 where all bodies together leave no room for it; then `gone` is called. */
void http_accept_body(struct http_call *c, uint64_t max);

/* What was read, which the caller takes: empties it and wipes it, for it may hold a password. */
struct evbuffer *http_body(struct http_call *c);

/* Headers of the answer. */
void http_add(struct http_call *c, const char *name, const char *value);
bool http_has(const struct http_call *c, const char *name);

/* Answers, with what is in the body, which is taken out of it; the call is over then.  The answer to HEAD says how long
 * the body would be, and 204 and 304 have none. */
void http_reply(struct http_call *c, enum http_status status, struct evbuffer *body);

/* Answers in pieces: the head, with what was added to it; a piece, which is taken out of the buffer and is not empty,
 * and `written` is called with the owner when it has gone, to say the next or the end.  To HEAD none of it is told. */
void http_begin(struct http_call *c, enum http_status status);
void http_write(struct http_call *c, struct evbuffer *piece, void (*written)(void *owner));
void http_end(struct http_call *c);

/* A JSON error (reference operations 1.4), likewise. */
void http_reply_error(struct http_call *c, enum http_status status, const char *error, const char *reason);
#endif
