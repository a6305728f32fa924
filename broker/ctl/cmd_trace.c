/* What happens to the messages of a queue or an exchange, line by line, until it is enough. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

enum { ASK_MS = 200, SECONDS_DEFAULT = 60, MS_PER_S = 1000 };

static void put_time(FILE *to, const json_t *row)
{
    json_int_t ms = json_integer_value(json_object_get(row, "at"));
    time_t second = (time_t)(ms / MS_PER_S);
    struct tm local;
    char text[16];
    localtime_r(&second, &local);
    strftime(text, sizeof text, "%H:%M:%S", &local);
    fprintf(to, "%s.%03d", text, (int)(ms % MS_PER_S));
}

static void put_text(FILE *to, const json_t *row, const char *key, const char *before, const char *after)
{
    const char *value = ctl_string(row, key);
    if (json_object_get(row, key) != NULL)
        fprintf(to, " %s%s%s", before, value, after);
}

static void put_where(FILE *to, const json_t *row)
{
    const json_t *queues = json_object_get(row, "queues");
    put_text(to, row, "queue", "queue '", "'");
    put_text(to, row, "reason", "because it was ", "");
    put_text(to, row, "exchange", "exchange '", "'");
    put_text(to, row, "routing_key", "key '", "'");
    if (json_array_size(queues) > 0) {
        char *names = output_cell(queues, KIND_LIST);
        fprintf(to, " -> %s", names);
        free(names);
    }
}

static void put_number(FILE *to, const json_t *row, const char *key, const char *before)
{
    const json_t *n = json_object_get(row, key);
    if (n != NULL)
        fprintf(to, " %s%lld", before, (long long)json_integer_value(n));
}

static void print_row(const struct ctl *c, const json_t *row)
{
    char *text = NULL;
    size_t len = 0;
    if (c->format != FORMAT_TABLE) {
        output_json(stdout, row);
        return;
    }
    FILE *to = open_memstream(&text, &len);
    if (to == NULL)
        return;
    put_time(to, row);
    fprintf(to, " %-13s", ctl_string(row, "what"));
    put_where(to, row);
    put_text(to, row, "consumer_tag", "consumer '", "'");
    if (json_is_true(json_object_get(row, "redelivered")))
        fputs(" redelivered", to);
    put_text(to, row, "user", "by ", "");
    put_text(to, row, "connection", "", "");
    put_number(to, row, "channel", "channel ");
    put_number(to, row, "count", "messages ");
    put_text(to, row, "message_id", "id '", "'");
    put_number(to, row, "payload_bytes", "bytes ");
    put_text(to, row, "payload", "'", "'");
    fclose(to);
    output_text(stdout, text);
    putchar('\n');
    free(text);
}

/* A page; false: it went wrong. */
static bool print_page(struct ctl *c, const char *id, json_int_t *left, int *status)
{
    struct answer a;
    size_t i;
    json_t *row;
    *status = ctl_call(c, "GET", path_of("millrace", "traces", ctl_vhost(c), id), NULL, &a);
    if (*status == 0)
        *status = ctl_refused(c, &a);
    json_array_foreach(json_object_get(a.json, "items"), i, row)
    {
        if (*left == 0)
            break;
        print_row(c, row);
        --*left;
    }
    fflush(stdout);
    answer_fini(&a);
    return *status == 0;
}

/* 0, and the trace's number in id. */
static int begin(struct ctl *c, bool of_exchange, char *id, size_t room)
{
    struct answer a;
    const char *name = of_exchange && c->args[1][0] == '\0' ? "amq.default" : c->args[1];
    json_int_t payload = (json_int_t)options_number(c->options, OPTION_PAYLOAD, 0);
    char *path = path_of("millrace", "traces", ctl_vhost(c), of_exchange ? "exchanges" : "queues", name);
    int status = ctl_call(c, "POST", path, json_pack("{s:I}", "payload_bytes", payload), &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_UNAVAILABLE, "no %s '%s' in vhost '%s'", c->args[0], c->args[1], ctl_vhost(c));
    else if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0)
        snprintf(id, room, "%lld", (long long)json_integer_value(json_object_get(a.json, "id")));
    answer_fini(&a);
    return status;
}

int trace_run(struct ctl *c)
{
    char id[24];
    bool of_exchange = strcmp(c->args[0], "exchange") == 0;
    if (!of_exchange && strcmp(c->args[0], "queue") != 0)
        return ctl_misused(c, EX_USAGE, "what is traced is a queue or an exchange");
    json_int_t left = (json_int_t)options_number(c->options, OPTION_COUNT, -1);
    int64_t end = ctl_now_ms() + (int64_t)(options_number(c->options, OPTION_SECONDS, SECONDS_DEFAULT) * MS_PER_S);
    int status = begin(c, of_exchange, id, sizeof id);
    if (status != 0)
        return status;
    ctl_say(c, of_exchange ? "Tracing exchange '{2}' in vhost '{vhost}' ..."
                           : "Tracing queue '{2}' in vhost '{vhost}' ...");
    fflush(stdout);
    while (print_page(c, id, &left, &status) && left != 0 && ctl_now_ms() < end)
        ctl_sleep_ms(ASK_MS);
    int ended = ctl_delete(c, path_of("millrace", "traces", ctl_vhost(c), id), 0, NULL);
    return status != 0 ? status : ended;
}
