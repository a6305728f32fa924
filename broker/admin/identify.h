/* Who asks over the network: from the Authorization header to a visitor (reference operations 1.3).
 *
 * Every request brings its password, and every one is checked against what the model knows at that moment: a password
 * that was changed, a user who was deleted, a right that was taken away count from the next request on.  The rules are
 * those of AMQP logins (broker/net/login.h): who guesses waits, and the wait is shared with AMQP's.
 */
#ifndef BROKER_ADMIN_IDENTIFY_H
#define BROKER_ADMIN_IDENTIFY_H

#include "broker/admin/request.h"

enum {
    IDENTIFY_HEADER_MAX = 12288, /* bytes of credentials, in base64 */
    IDENTIFY_USER_MAX = 255,
    IDENTIFY_KNOWN_MAX = 64,         /* whose logins were noted lately … */
    IDENTIFY_KNOWN_MS = 3600 * 1000, /* … and are not noted again for so long */
};

struct identification; /* while it is under way: r->identification */

/* Finds out who that is, and calls then with r->visitor; or answers 401. */
void identify(struct request *r, request_fn *then);

/* 401 for somebody who is known, but may not: RabbitMQ's words. */
void identify_refuse(struct request *r, const char *reason);

void identify_forget(struct identification *i); /* wipes it; NULL is allowed */
#endif
