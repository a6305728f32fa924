/* Visits: the administration as a client of the broker, for the moment that a request takes, with the rights of the
 * user who asks; over the UNIX socket with all rights.  So what is published and got over HTTP goes by the rules that
 * hold for everybody: permissions, limits, alternate exchanges, confirms, dead letters.
 *
 *     visit_begin(r, vhost, go_on)        attached: go_on(r).  What is refused is answered.
 *     visit_ask(r, GET, on_got)           a command, and what comes of it
 *     visit_leave(r, status, body)        detaches, and then answers: whatever was out is back in its queue
 *
 * One command of a visit is under way at a time.  All of it is on the administration's thread.
 */
#ifndef BROKER_ADMIN_VISIT_H
#define BROKER_ADMIN_VISIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/admin/request.h"
#include "broker/port/command.h"

struct admin;

enum { VISITS_MAX = DESK_SLOTS }; /* at a time; who comes then is told to come again */

struct visit {
    struct admin *admin;     /* borrowed */
    struct request *request; /* borrowed: NULL: it has gone, and nobody waits for what comes */
    outlet_id id;
    request_fn *begun;
    answer_fn *on_answer; /* NULL: nothing is under way */
    bool is_attached, is_leaving;
    enum http_status status; /* the answer, once it has left */
    json_t *body;            /* owned */

    /* A handler's, while it waits. */
    json_t *items;   /* owned: what was got */
    ticket *tickets; /* owned: of those */
    size_t n, capacity;
    uint64_t bytes; /* of their payloads */
    bool was_returned;
};

/* Comes into the virtual host. */
void visit_begin(struct request *r, struct bytes vhost, request_fn *begun);

/* The command, to be filled in before anything else happens.  then: what answers it, of an event that it borrows: DONE,
 * FAILED, GOT, EMPTY, CONFIRMED, REFUSED; RETURNED only leaves its mark. */
struct command *visit_ask(struct request *r, enum verb verb, answer_fn *then);

/* All that was got is settled so. */
void visit_settle_all(struct request *r, enum outcome outcome);

/* Ends it, and answers: with a body, which is taken; with an error; with what AMQP would say to a command that FAILED,
 * whose status may be given (0: as RabbitMQ has it for those that are about a queue). */
void visit_leave(struct request *r, enum http_status status, json_t *body);
void visit_fail(struct request *r, enum http_status status, const char *error, const char *reason);
void visit_refuse(struct request *r, const struct event *failed, uint32_t method_id, bool is_bad_request);

/* ---- For admin.c and request.c. */

/* An event for one of the desk's clients. */
void visit_on_event(struct admin *a, struct event *e);

/* Its request ends: it leaves, if it has not. */
void visit_abandon(struct visit *v); /* NULL is allowed */

/* Frees all that are left, when nothing comes any more. */
void visits_fini(struct admin *a);
#endif
