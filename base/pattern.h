/* Patterns that administrators write: PCRE2, as in RabbitMQ, searched for anywhere in a name, with limits so that no
 * pattern can hold a thread (reliability C14).
 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include "base/bytes.h"

enum {
    PATTERN_BYTES_MAX = 1024,
    PATTERN_STEPS_MAX = 20000, /* of matching, wherever it begins: then it has failed.  A millisecond at most */
    PATTERN_DEPTH_MAX = 50000,
    PATTERN_HEAP_KIB_MAX = 4096 /* for matching */
};

struct pattern;

enum pattern_match {
    PATTERN_MATCHES,
    PATTERN_DOES_NOT,
    PATTERN_FAILED, /* a limit: whoever asks denies */
};

/* An empty pattern matches nothing but an empty text (it equals ^$), as in RabbitMQ's permissions.  NULL:
 * *error says why, and the caller frees it. */
struct pattern *pattern_create(struct bytes text, char **error);
void pattern_destroy(struct pattern *p); /* NULL is allowed */

/* Not for two threads at once. */
enum pattern_match pattern_match(struct pattern *p, struct bytes subject);

/* The same with fewer steps, for a first try. */
enum pattern_match pattern_match_within(struct pattern *p, struct bytes subject, unsigned steps);
#endif
