/* The busiest queues, again and again. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { SECONDS_DEFAULT = 5, MS_PER_S = 1000 };

static double rate_of(const json_t *stats, const char *key)
{
    return json_number_value(json_object_get(json_object_get(stats, key), "rate"));
}

static long long number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static int tell_totals(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_of("overview"), NULL, &a);
    if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0) {
        const json_t *objects = json_object_get(a.json, "object_totals");
        const json_t *queued = json_object_get(a.json, "queue_totals"),
                     *stats = json_object_get(a.json, "message_stats");
        ctl_tell(c, "%lld connections, %lld channels, %lld queues, %lld consumers", number_of(objects, "connections"),
                 number_of(objects, "channels"), number_of(objects, "queues"), number_of(objects, "consumers"));
        ctl_tell(
            c,
            "%lld messages ready, %lld unacknowledged; a second: %.1f published, %.1f delivered, %.1f acknowledged\n",
            number_of(queued, "messages_ready"), number_of(queued, "messages_unacknowledged"),
            rate_of(stats, "publish_details"), rate_of(stats, "deliver_get_details"), rate_of(stats, "ack_details"));
    }
    answer_fini(&a);
    return status;
}

static int tell_queues(struct ctl *c)
{
    static const struct column columns[] = {{"vhost", NULL, KIND_PLAIN},
                                            {"name", NULL, KIND_PLAIN},
                                            {"ready", "messages_ready", KIND_PLAIN},
                                            {"unacked", "messages_unacknowledged", KIND_PLAIN},
                                            {"consumers", NULL, KIND_PLAIN},
                                            {"in/s", "message_stats.publish_details.rate", KIND_PLAIN},
                                            {"out/s", "message_stats.deliver_get_details.rate", KIND_PLAIN}};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    const struct column *shown[COLUMNS];
    struct answer a;
    size_t i;
    json_t *queue;
    for (i = 0; i < COLUMNS; i++)
        shown[i] = &columns[i];
    char *path = path_of("queues");
    if (options_has(c->options, OPTION_VHOST)) {
        free(path);
        path = path_of("queues", ctl_vhost(c));
    }
    path = path_query(path_query(path, "sort", "messages"), "sort_reverse", "true");
    path = path_query(path_query(path, "page", "1"), "page_size", "20");
    int status = ctl_call(c, "GET", path, NULL, &a);
    if (status == 0)
        status = ctl_refused(c, &a);
    struct table *t = table_create(stdout, c->format == FORMAT_TABLE ? FORMAT_PRETTY : c->format, true, shown, COLUMNS);
    json_array_foreach(json_object_get(a.json, "items"), i, queue)
    {
        table_row(t, queue);
    }
    table_destroy(t);
    answer_fini(&a);
    return status;
}

int top_run(struct ctl *c)
{
    long count = (long)options_number(c->options, OPTION_COUNT, isatty(STDOUT_FILENO) != 0 ? -1 : 1);
    long wait_ms = (long)(options_number(c->options, OPTION_SECONDS, SECONDS_DEFAULT) * MS_PER_S);
    int status = 0;
    while (status == 0 && count != 0) {
        if (isatty(STDOUT_FILENO) != 0)
            fputs("\033[H\033[2J", stdout);
        status = tell_totals(c);
        if (status == 0)
            status = tell_queues(c);
        fflush(stdout);
        if (--count != 0 && status == 0)
            ctl_sleep_ms(wait_ms);
    }
    return status;
}
