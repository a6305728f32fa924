/* One event of the audit log, as one line of JSON (base/audit.h):
 *
 *     {"time":"2026-11-21T09:51:54.778765Z","action":"queue.purge","result":"ok","user":"alice",…,"count":7}
 *
 * Every string is escaped, so that nothing which a peer sends can forge a line, end one, or deceive whoever reads it on
 * a terminal: quotes, control characters (C1 and DEL, too), line and paragraph separators and characters that are
 * invisible or turn the direction of writing are \uXXXX.  A byte that is not UTF-8 is written as \ufffd and two
 * hexadecimal digits; a real U+FFFD is written as itself.
 *
 * There is no member for a password, a key, a token or a message's body, and none may be added.
 */
#ifndef BASE_AUDIT_LINE_H
#define BASE_AUDIT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { AUDIT_LINE_MAX = 4096 }; /* with its newline */

/* All borrowed.  What is NULL is left out of the line, what is empty is written as "". */
struct audit {
    const char *action;       /* what was asked for: "login", "queue.delete"; never NULL */
    struct bytes result;      /* "ok", "refused", … */
    struct bytes reason;      /* why, if it was refused */
    struct bytes user;        /* who: the name, as claimed if the login failed */
    struct bytes peer;        /* from where: an address, or "local" */
    struct bytes certificate; /* its distinguished name */
    struct bytes vhost;
    struct bytes kind;   /* of the object: "queue", "user", … */
    struct bytes object; /* its name */
    uint64_t count;      /* messages that went with it, … */
    bool has_count;
    struct bytes before, after; /* a policy's or a right's value; never a password's hash */
};

/* Writes the line, its newline last, and answers its length.  What does not fit is cut between two characters, and then
 * the line has "cut":true; the line is valid JSON always, and no member can push out another. */
size_t audit_line(const struct audit *a, uint64_t wall_us, char to[AUDIT_LINE_MAX]);
#endif
