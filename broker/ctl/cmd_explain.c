/* Questions about what would happen, and what does not: where a message would go, why a consumer is given nothing. */
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

/* ---- Where a message would go. */

static bool is_true(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static bool is_said(const json_t *o, const char *key, const char *value)
{
    return strcmp(ctl_string(o, key), value) == 0;
}

static long long number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void tell_binding(const struct ctl *c, const json_t *b)
{
    char *arguments = output_cell(json_object_get(b, "arguments"), KIND_TABLE);
    const char *with = strcmp(arguments, "[]") == 0 ? "" : arguments;
    const char *gap = with[0] != '\0' ? " " : "";
    if (!is_true(b, "matched"))
        ctl_tell(c, "  no:    '%s'%s%s -> %s '%s': %s", ctl_string(b, "routing_key"), gap, with,
                 ctl_string(b, "destination_type"), ctl_string(b, "destination"), ctl_string(b, "why"));
    else
        ctl_tell(c, "  %s '%s'%s%s -> %s '%s'",
                 is_true(b, "certain") ? "yes:  " : "maybe:", ctl_string(b, "routing_key"), gap, with,
                 ctl_string(b, "destination_type"), ctl_string(b, "destination"));
    free(arguments);
}

static void tell_exchange(const struct ctl *c, const json_t *all, const json_t *x)
{
    size_t i;
    json_t *b;
    const char *name = ctl_string(x, "name");
    ctl_tell(c, "exchange '%s' (%s%s)", name[0] != '\0' ? name : "amq.default", ctl_string(x, "type"),
             is_said(x, "via", "alternate") ? ", as the alternate one" : "");
    if (json_object_get(x, "delay_ms") != NULL)
        ctl_tell(c, "  keeps it for %lld ms first", number_of(x, "delay_ms"));
    if (json_object_get(x, "one_of") != NULL)
        ctl_tell(c, "  picks one of %lld bindings at random", number_of(x, "one_of"));
    if (is_true(x, "duplicate"))
        ctl_tell(c, "  knows it: a duplicate, which goes no further");
    if (is_true(x, "alternate_missing"))
        ctl_tell(c, "  its alternate exchange '%s' does not exist", ctl_string(x, "alternate"));
    json_array_foreach(json_object_get(all, "bindings"), i, b)
    {
        if (is_said(b, "source", name))
            tell_binding(c, b);
    }
}

static void tell_queue(const struct ctl *c, const json_t *q)
{
    size_t i;
    json_t *o;
    ctl_tell(c, "queue '%s'%s%s%s", ctl_string(q, "name"), is_true(q, "certain") ? "" : " (maybe)",
             ctl_string(q, "explanation")[0] != '\0' ? ": " : "", ctl_string(q, "explanation"));
    if (json_object_get(q, "after_ms") != NULL)
        ctl_tell(c, "  after %lld ms", number_of(q, "after_ms"));
    json_array_foreach(json_object_get(q, "next_consumers"), i, o)
    {
        ctl_tell(c, "  next:  consumer '%s' of user '%s', connection %s, channel %lld", ctl_string(o, "consumer_tag"),
                 ctl_string(o, "user"), ctl_string(o, "connection"), number_of(o, "channel"));
    }
    json_array_foreach(json_object_get(q, "dead_letters"), i, o)
    {
        bool has_queues = json_array_size(json_object_get(o, "queues")) > 0;
        char *queues = has_queues ? output_cell(json_object_get(o, "queues"), KIND_LIST) : NULL;
        ctl_tell(c, "  %*s%s%s%s%s: %s%s%s", (int)(2 * (number_of(o, "depth") - 1)), "", ctl_string(o, "reason"),
                 ctl_string(o, "via")[0] != '\0' ? " in '" : "", ctl_string(o, "via"),
                 ctl_string(o, "via")[0] != '\0' ? "'" : "", ctl_string(o, "explanation"), has_queues ? " " : "",
                 queues != NULL ? queues : "");
        free(queues);
    }
}

static int tell_route(struct ctl *c, const json_t *answer)
{
    size_t i;
    json_t *o;
    if (c->format == FORMAT_JSON) {
        output_json(stdout, answer);
        return 0;
    }
    json_array_foreach(json_object_get(answer, "exchanges"), i, o)
    {
        tell_exchange(c, answer, o);
    }
    json_array_foreach(json_object_get(answer, "queues"), i, o)
    {
        tell_queue(c, o);
    }
    long long n = number_of(answer, "reached"), left = number_of(answer, "left_off");
    if (n == 0)
        ctl_tell(c, "no queue receives it: it is dropped, or returned if it is mandatory");
    else
        ctl_tell(c, "%lld queue%s it", n, n == 1 ? " receives" : "s receive");
    if (left > 0)
        ctl_tell(c, "%lld more lines are left off", left);
    return 0;
}

int explain_route(struct ctl *c)
{
    struct answer a;
    const char *exchange = c->args[0][0] != '\0' ? c->args[0] : "amq.default";
    char *path = path_query(path_of("exchanges", ctl_vhost(c), exchange, "explain"), "routing_key", c->args[1]);
    if (c->n_args > 2)
        path = path_query(path, "headers", c->args[2]);
    int status = ctl_call(c, "GET", path, NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_UNAVAILABLE, "no exchange '%s' in vhost '%s'", c->args[0], ctl_vhost(c));
    else if (status == 0 && a.status == 400) {
        char *reason = ctl_reason(&a);
        status = ctl_fail(c, EX_DATAERR, "%s", reason);
        free(reason);
    } else if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0)
        status = tell_route(c, a.json);
    answer_fini(&a);
    return status;
}

/* ---- Why a consumer is given nothing. */

struct asked {
    struct ctl *c;
    struct table *table;
    size_t n;
};

static bool on_consumer(const json_t *item, void *arg)
{
    struct asked *a = arg;
    const struct ctl *c = a->c;
    if ((c->n_args > 0 && !is_said(json_object_get(item, "queue"), "name", c->args[0])) ||
        (c->n_args > 1 && !is_said(item, "consumer_tag", c->args[1])))
        return true;
    a->n++;
    table_row(a->table, item);
    return true;
}

int explain_consumer(struct ctl *c)
{
    static const struct column columns[] = {{"queue_name", "queue.name", KIND_PLAIN},
                                            {"consumer_tag", NULL, KIND_PLAIN},
                                            {"channel_pid", "channel_details.name", KIND_PLAIN},
                                            {"waiting_for", NULL, KIND_PLAIN},
                                            {"explanation", NULL, KIND_PLAIN}};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    const struct column *shown[COLUMNS];
    struct answer answer;
    for (size_t i = 0; i < COLUMNS; i++)
        shown[i] = &columns[i];
    bool has_headers = !c->is_silent && !options_has(c->options, OPTION_NO_HEADERS);
    struct asked a = {.c = c, .table = table_create(stdout, c->format, has_headers, shown, COLUMNS)};
    int status = ctl_each(c, path_of("consumers", ctl_vhost(c)), on_consumer, &a, &answer);
    if (status == 0 && answer.status == 404)
        status = ctl_fail_bare(c, EX_DATAERR, "Virtual host '%s' does not exist", ctl_vhost(c));
    else if (status == 0)
        status = ctl_refused(c, &answer);
    table_destroy(a.table);
    answer_fini(&answer);
    if (status == 0 && a.n == 0 && c->n_args > 0)
        return ctl_fail(c, EX_UNAVAILABLE, "there is no such consumer");
    return status;
}
