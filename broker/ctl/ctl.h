/* What every command works with: its words and options, the broker, and the few ways to say something.
 *
 * Three kinds of lines, as in rabbitmqctl: what it is about to do (ctl_say: hidden by -q, -s and by formats that
 * programs read), what came of it (ctl_tell: hidden by the latter alone), and what went wrong (ctl_fail: always, on
 * standard error).
 * A command answers its exit status.
 */
#ifndef BROKER_CTL_CTL_H
#define BROKER_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sysexits.h>

#include "broker/ctl/http.h"
#include "broker/ctl/options.h"
#include "broker/ctl/output.h"
#include "broker/ctl/path.h"

enum { EX_TIMEOUT = EX_TEMPFAIL, LOG_TAIL_LINES = 50 };

struct command;

struct ctl {
    const char *tool; /* borrowed: the name by which it was called */
    const struct command *command;
    const struct options *options;
    const char **args; /* borrowed: the command's words, and then NULL */
    size_t n_args;
    enum format format;
    bool is_quiet, is_silent;
    char *node;            /* owned */
    char *data_dir;        /* owned; NULL: there is none that it could be */
    char *socket;          /* owned; NULL: client_config.url */
    struct client *client; /* owned; NULL until the first call */
    const char *reason;    /* borrowed: X-Reason of the next calls, or NULL */
    long timeout_ms;
};

/* Fills c with what the options and the environment say; false: it has said what is wrong. */
bool ctl_init(struct ctl *c, const char *tool, const struct options *o);
void ctl_fini(struct ctl *c);

const char *ctl_vhost(const struct ctl *c);

/* The seconds of --timeout as milliseconds, or these. */
long ctl_timeout_ms(const struct ctl *c, long otherwise);

/* For all calls from now on. */
void ctl_set_timeout(struct ctl *c, long ms);

/* ---- Calls of the API. */

/* Calls; takes path and body.  0: there is an answer with a status below 500 and not 401, or 503; otherwise the exit
 * status, and it has said what is wrong, such as a name in the path that is empty.  The answer is for answer_fini() in
 * any case. */
int ctl_call(struct ctl *c, const char *method, char *path, json_t *body, struct answer *a);

/* As ctl_call(), says nothing and leaves every HTTP status to the caller. */
enum client_error ctl_try(struct ctl *c, const char *method, char *path, json_t *body, struct answer *a);

/* As ctl_try() with another login, whose password is the caller's. */
enum client_error ctl_try_as(struct ctl *c, const char *user, const char *password, char *path, struct answer *a);

/* GET of a list, item by item.  As ctl_call(). */
int ctl_each(struct ctl *c, char *path, client_each_fn *each, void *arg, struct answer *a);

/* What to do with an answer that is not a success: says the API's reason, or that there is no such thing.  The exit
 * status. */
int ctl_refused(struct ctl *c, const struct answer *a);

/* True: the broker does not have this call, or there is no such thing. */
bool ctl_is_unknown(const struct answer *a);

/* A call whose answer is of no interest: 0, or it has failed as ctl_call() or ctl_refused() says. */
int ctl_do(struct ctl *c, const char *method, char *path, json_t *body);

/* As ctl_do(); what is not there is `status` with this text (NULL: no matter, 0). */
int ctl_delete(struct ctl *c, char *path, int status, const char *missing);

/* The API's "reason", in words; the caller gives it to free(). */
char *ctl_reason(const struct answer *a);

/* 0, or 65 or 67 and it has said that there is no such thing. */
int ctl_need_vhost(struct ctl *c, const char *vhost);
int ctl_need_user(struct ctl *c, const char *user);

/* The failure when the broker cannot be reached. */
int ctl_unreachable(struct ctl *c, enum client_error error);

/* ---- What is said. */

/* Prints a template: {1} to {9} are words, {rest2} those from the second on in a list, {vhost}, {node}, {timeout}. */
void ctl_say(const struct ctl *c, const char *text);

/* The command's banner, unless it says that itself when it has looked at its words (COMMAND_CHECKS). */
void ctl_announce(const struct ctl *c);

void ctl_tell(const struct ctl *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "Error:" and the text; answers the status. */
int ctl_fail(const struct ctl *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The text alone, as rabbitmqctl does for virtual hosts. */
int ctl_fail_bare(const struct ctl *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Says what is wrong with the command line, and how it should be; status is 64 or 65. */
int ctl_misused(const struct ctl *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What a command that has nothing to show ends with: programs get an object.  Answers the status. */
int ctl_done(const struct ctl *c, int status);

/* Prints an object in JSON; takes it. */
int ctl_print_json(const struct ctl *c, json_t *value);

/* The number that a word is, or -1. */
long ctl_count(const char *word);

/* A member's string, or "" */
const char *ctl_string(const json_t *object, const char *key);

/* Reads JSON of a word; NULL: it has said what is wrong, and *status is set. */
json_t *ctl_read_json(struct ctl *c, const char *word, int *status);

/* Waits; nothing else could be waited for. */
void ctl_sleep_ms(long ms);

/* Milliseconds that only grow. */
int64_t ctl_now_ms(void);
#endif
