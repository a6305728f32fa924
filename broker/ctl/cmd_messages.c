/* Messages: moved to another queue, or put back where they came from.
 *
 * One call moves some and says where to go on; this asks until all is done, so nothing is lost if it ends in between,
 * and running it again goes on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { WAIT_MS = 100, WAITS_MAX = 600 };

struct tally {
    json_int_t moved, kept, bytes;
    char *stopped; /* owned */
};

static json_int_t number_in(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* One call; true: it is over, or it went wrong. */
static bool move_some(struct ctl *c, json_t *body, struct tally *t, int *status)
{
    struct answer a;
    char *path = path_of("queues", ctl_vhost(c), c->args[0], "move");
    *status = ctl_call(c, "POST", path, json_deep_copy(body), &a);
    if (*status == 0)
        *status = ctl_refused(c, &a);
    if (*status == 0) {
        const char *stopped = ctl_string(a.json, "stopped");
        t->moved += number_in(a.json, "moved");
        t->kept += number_in(a.json, "kept");
        t->bytes += number_in(a.json, "bytes");
        json_object_set(body, "position", json_object_get(a.json, "position"));
        json_object_set(body, "end", json_object_get(a.json, "end"));
        if (stopped[0] != '\0')
            t->stopped = str_copy(bytes_of_string(stopped));
    }
    bool is_over = *status != 0 || json_is_true(json_object_get(a.json, "done"));
    answer_fini(&a);
    return is_over;
}

/* All of it, or as many as --limit says. */
static int move_all(struct ctl *c, json_t *body, struct tally *t)
{
    int status = 0;
    json_int_t limit = (json_int_t)options_number(c->options, OPTION_LIMIT, 0), before;
    unsigned waits = 0;
    do {
        before = t->moved + t->kept;
        if (limit > 0)
            json_object_set_new(body, "limit", json_integer(limit - t->moved));
        if (move_some(c, body, t, &status) || (limit > 0 && t->moved >= limit))
            return status;
        waits = t->moved + t->kept == before ? waits + 1 : 0;
        if (waits > 0)
            ctl_sleep_ms(WAIT_MS);
    } while (waits < WAITS_MAX);
    return ctl_fail(c, EX_TEMPFAIL, "the messages that come next cannot be read yet; %lld were moved",
                    (long long)t->moved);
}

static int say_tally(struct ctl *c, const struct tally *t)
{
    if (c->format == FORMAT_JSON)
        ctl_print_json(c, json_pack("{s:I, s:I, s:I}", "moved", t->moved, "kept", t->kept, "bytes", t->bytes));
    else
        ctl_tell(c, "%lld messages were moved", (long long)t->moved);
    if (t->kept > 0 && c->format != FORMAT_JSON)
        ctl_tell(c, "%lld stay: they do not say where they came from, or it is not there any more", (long long)t->kept);
    if (t->stopped != NULL)
        return ctl_fail(c, EX_TEMPFAIL, "stopped: %s", t->stopped);
    return 0;
}

static int run(struct ctl *c, json_t *body)
{
    struct tally t = {0};
    if (options_number(c->options, OPTION_LIMIT, 1) < 1) {
        json_decref(body);
        return ctl_misused(c, EX_USAGE, "--limit must be at least 1");
    }
    if (options_has(c->options, OPTION_DROP_HISTORY))
        json_object_set_new(body, "drop_history", json_true());
    int status = move_all(c, body, &t);
    if (status == 0)
        status = say_tally(c, &t);
    free(t.stopped);
    json_decref(body);
    return status;
}

int messages_redrive(struct ctl *c)
{
    bool is_by_exchange = options_has(c->options, OPTION_BY_EXCHANGE);
    return run(c, json_pack("{s:s}", "to", is_by_exchange ? "x-death-exchange" : "x-death-origin"));
}

int messages_move(struct ctl *c)
{
    const char *exchange = options_text(c->options, OPTION_EXCHANGE, NULL);
    const char *key = options_text(c->options, OPTION_KEY, NULL);
    if ((c->n_args > 1) == (exchange != NULL))
        return ctl_misused(c, EX_USAGE, "either a destination queue or --exchange must be given");
    if (c->n_args > 1 && key != NULL)
        return ctl_misused(c, EX_USAGE, "--key goes with --exchange");
    json_t *body = exchange == NULL ? json_pack("{s:s, s:s}", "to", "queue", "queue", c->args[1])
                                    : json_pack("{s:s, s:s, s:s*}", "to", "exchange", "exchange",
                                                exchange[0] == '\0' ? "amq.default" : exchange, "routing_key", key);
    if (body == NULL)
        return ctl_fail(c, EX_DATAERR, "a name is not UTF-8");
    return run(c, body);
}

/* ---- One by one. */

static char *with_filters(const struct ctl *c, char *path)
{
    static const struct {
        enum option option;
        const char *name;
    } filters[] = {{OPTION_KEY, "routing_key"},
                   {OPTION_HEADER, "header"},
                   {OPTION_CONTAINS, "contains"},
                   {OPTION_PAYLOAD, "truncate"}};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (options_has(c->options, filters[i].option))
            path = path_query(path, filters[i].name, options_text(c->options, filters[i].option, ""));
    return path;
}

/* A page of what is there; false: that was the last, or it went wrong. */
static bool peek_page(struct ctl *c, json_int_t *from, json_int_t *left, int *status)
{
    char offset[24], limit[24];
    struct answer a;
    snprintf(offset, sizeof offset, "%lld", (long long)*from);
    snprintf(limit, sizeof limit, "%lld", (long long)*left);
    char *path = path_query(path_of("queues", ctl_vhost(c), c->args[0], "messages"), "offset", offset);
    *status = ctl_call(c, "GET", with_filters(c, path_query(path, "limit", limit)), NULL, &a);
    if (*status == 0 && a.status == 404)
        *status = ctl_fail(c, EX_UNAVAILABLE, "not_found");
    else if (*status == 0)
        *status = ctl_refused(c, &a);
    const json_t *items = json_object_get(a.json, "items"), *next = json_object_get(a.json, "next");
    for (size_t i = 0; *status == 0 && i < json_array_size(items); i++, --*left)
        output_json(stdout, json_array_get(items, i));
    bool goes_on = *status == 0 && *left > 0 && json_is_integer(next);
    *from = json_integer_value(next);
    answer_fini(&a);
    return goes_on;
}

int messages_peek(struct ctl *c)
{
    json_int_t from = (json_int_t)options_number(c->options, OPTION_FROM, 0);
    json_int_t left = c->n_args > 1 ? ctl_count(c->args[1]) : (json_int_t)options_number(c->options, OPTION_COUNT, 1);
    int status = 0;
    bool goes_on = true;
    if (left < 1 || from < 0)
        return ctl_misused(c, EX_USAGE, "how many messages, and from which position, must be numbers");
    while (goes_on)
        goes_on = peek_page(c, &from, &left, &status);
    return status;
}

int messages_delete(struct ctl *c)
{
    if (ctl_count(c->args[1]) < 0)
        return ctl_misused(c, EX_USAGE, "the position must be a number, as peek_queue shows it");
    char *path = path_of("queues", ctl_vhost(c), c->args[0], "messages", c->args[1]);
    return ctl_done(c, ctl_delete(c, path, EX_UNAVAILABLE, "not_found"));
}
