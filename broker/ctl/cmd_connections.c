/* Closing connections. */
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

int connections_close(struct ctl *c)
{
    struct answer a;
    c->reason = c->args[1];
    int status = ctl_call(c, "DELETE", path_of("connections", c->args[0]), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_UNAVAILABLE, "there is no connection of this name: %s", c->args[0]);
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

int connections_close_user(struct ctl *c)
{
    c->reason = c->args[1];
    struct answer a;
    int status = ctl_call(c, "DELETE", path_of("connections", "username", c->args[0]), NULL, &a);
    if (status == 0 && a.status != 404)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

/* One by one: a broker that has no call for all of them.  -1: it has failed. */
static long close_each(struct ctl *c, const char *vhost, long limit, long delay_ms, int *status)
{
    struct answer a;
    long closed = 0;
    *status = ctl_call(c, "GET", path_query(path_of("connections"), "columns", "name,vhost"), NULL, &a);
    if (*status == 0)
        *status = ctl_refused(c, &a);
    size_t i;
    json_t *item;
    json_array_foreach(a.json, i, item)
    {
        if (*status != 0 || (limit > 0 && closed == limit))
            break;
        if (vhost != NULL && strcmp(ctl_string(item, "vhost"), vhost) != 0)
            continue;
        if (closed > 0 && delay_ms > 0)
            ctl_sleep_ms(delay_ms);
        *status = ctl_delete(c, path_of("connections", ctl_string(item, "name")), 0, NULL);
        closed += *status == 0;
    }
    answer_fini(&a);
    return closed;
}

int connections_close_all(struct ctl *c)
{
    bool is_global = options_has(c->options, OPTION_GLOBAL);
    const char *vhost = is_global ? NULL : ctl_vhost(c);
    long limit = (long)options_number(c->options, OPTION_LIMIT, 0),
         delay_ms = (long)options_number(c->options, OPTION_DELAY, 0);
    if (limit < 0 || delay_ms < 0)
        return ctl_misused(c, EX_USAGE, "--limit and --per-connection-delay are not negative");
    if (limit > 0 && !c->is_quiet)
        ctl_tell(c, "Closing %ld connections in %s%s, reason: %s...", limit, is_global ? "all vhosts" : "vhost ",
                 is_global ? "" : vhost, c->args[0]);
    else
        ctl_say(c, is_global ? "Closing all connections to node {node} (across all vhosts), reason: {1}..."
                             : "Closing all connections in vhost {vhost}, reason: {1}...");
    c->reason = c->args[0];
    json_t *body = json_pack("{s:s}", "reason", c->args[0]);
    if (vhost != NULL)
        json_object_set_new(body, "vhost", json_string(vhost));
    if (limit > 0)
        json_object_set_new(body, "limit", json_integer(limit));
    if (delay_ms > 0)
        json_object_set_new(body, "per_connection_delay_ms", json_integer(delay_ms));
    struct answer a;
    int status = ctl_call(c, "POST", path_of("millrace", "close-connections"), body, &a);
    long closed = (long)json_integer_value(json_object_get(a.json, "closed"));
    if (status == 0 && ctl_is_unknown(&a))
        closed = close_each(c, vhost, limit, delay_ms, &status);
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    if (status == 0)
        ctl_tell(c, "Closed %ld connections", closed);
    return ctl_done(c, status);
}

static bool read_number(const char *text, long max, long *n)
{
    char *end = NULL;
    *n = strtol(text, &end, 10);
    return end != text && *end == '\0' && *n >= 0 && *n <= max;
}

int connections_set_prefetch(struct ctl *c)
{
    struct answer a;
    long channel, count;
    if (!read_number(c->args[1], UINT16_MAX, &channel) || !read_number(c->args[3], UINT16_MAX, &count))
        return ctl_misused(c, EX_USAGE, "channel and count are numbers up to 65535");
    json_t *body = json_pack("{s:s, s:i, s:s, s:i}", "connection", c->args[0], "channel", (int)channel, "consumer_tag",
                             c->args[2], "prefetch_count", (int)count);
    int status = ctl_call(c, "POST", path_of("millrace", "prefetch"), body, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_UNAVAILABLE, "there is no such consumer, or its prefetch cannot be changed");
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}
