/* The client of the HTTP API: over the broker's own socket, or to any broker with a URL and a login.
 *
 * No proxy, no redirection, nothing but HTTP and HTTPS; a deadline for every call.  An answer has a limit, but for a
 * list of any length there is client_each(), which keeps one item at a time.
 */
#ifndef BROKER_CTL_HTTP_H
#define BROKER_CTL_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { ANSWER_BYTES_MAX = 1 << 28, ITEM_BYTES_MAX = 1 << 26 };

struct client;

struct client_config {
    const char *socket;          /* borrowed: path of a UNIX socket; NULL: url */
    const char *url;             /* borrowed: "http://host:15672" */
    const char *user, *password; /* borrowed; NULL: none */
    long timeout_ms;             /* of each call, from its beginning to its end */
};

enum client_error { CLIENT_OK, CLIENT_UNREACHABLE, CLIENT_TIMEOUT, CLIENT_TOO_LARGE, CLIENT_NONSENSE };

struct answer {
    long status; /* of HTTP; 0: there was none */
    char *text;  /* owned, terminated; the body */
    size_t len;
    json_t *json; /* owned; NULL: it is not JSON */
};

struct request {
    const char *method, *path;   /* borrowed; the path begins with "/" and is encoded */
    const json_t *body;          /* borrowed; NULL: none */
    const char *reason;          /* borrowed; for X-Reason, or NULL */
    const char *user, *password; /* borrowed: another login for this call alone, or NULL */
};

struct client *client_create(const struct client_config *config);
void client_destroy(struct client *c);

/* One call.  The answer is for answer_fini() whatever comes of it. */
enum client_error client_call(struct client *c, const struct request *r, struct answer *a);

/* Called with each item of an array (or of an object's "items") as it comes in; borrowed; false: stop. */
typedef bool client_each_fn(const json_t *item, void *arg);

/* As client_call() for a list.  Where HTTP's status is not 200 nothing is called, and the answer is whole. */
enum client_error client_each(struct client *c, const struct request *r, struct answer *a, client_each_fn *each,
                              void *arg);

/* What went wrong with the last call, in words. */
const char *client_problem(const struct client *c);

/* True: a TCP connection to the port can be made.  host is a name or an address. */
bool client_can_connect(struct client *c, const char *host, unsigned port);

/* The host of the URL, or "localhost"; the caller gives it to free(). */
char *client_host(const struct client *c);

void answer_fini(struct answer *a);
#endif
