/* Everything that prints a list of the API as a table: which list, which columns. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pattern.h"
#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"

#define COLUMNS(...)                                                                                                   \
    (const struct column[])                                                                                            \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            NULL, NULL, KIND_PLAIN                                                                                     \
        }                                                                                                              \
    }
#define COLUMN(name) COLUMN_AS(name, NULL, KIND_PLAIN)
#define COLUMN_AT(name, path) COLUMN_AS(name, path, KIND_PLAIN)
#define COLUMN_AS(name, path, kind)                                                                                    \
    {                                                                                                                  \
        name, path, kind                                                                                               \
    }

/* Columns are in the order in which an error names them; the first ones are shown when nothing is asked for. */
static const struct listing {
    const char *command;
    const char *path; /* below /api; {vhost} is the virtual host, {1} the first word */
    unsigned n_default;
    const struct column *columns; /* up to one without a name */
} listings[] = {
    {"list_users", "users", 2, COLUMNS(COLUMN_AT("user", "name"), COLUMN_AS("tags", NULL, KIND_LIST))},
    {"list_permissions", "vhosts/{vhost}/permissions", 4,
     COLUMNS(COLUMN("user"), COLUMN("configure"), COLUMN("write"), COLUMN("read"))},
    {"list_user_permissions", "users/{1}/permissions", 4,
     COLUMNS(COLUMN("vhost"), COLUMN("configure"), COLUMN("write"), COLUMN("read"))},
    {"list_topic_permissions", "vhosts/{vhost}/topic-permissions", 4,
     COLUMNS(COLUMN("user"), COLUMN("exchange"), COLUMN("write"), COLUMN("read"))},
    {"list_user_topic_permissions", "users/{1}/topic-permissions", 4,
     COLUMNS(COLUMN("vhost"), COLUMN("exchange"), COLUMN("write"), COLUMN("read"))},
    {"list_policies", "policies/{vhost}", 6,
     COLUMNS(COLUMN("vhost"), COLUMN("name"), COLUMN("pattern"), COLUMN("apply-to"),
             COLUMN_AS("definition", NULL, KIND_TEXT), COLUMN("priority"))},
    {"list_operator_policies", "operator-policies/{vhost}", 6,
     COLUMNS(COLUMN("vhost"), COLUMN("name"), COLUMN("pattern"), COLUMN("apply-to"),
             COLUMN_AS("definition", NULL, KIND_TEXT), COLUMN("priority"))},
    {"list_global_parameters", "global-parameters", 2, COLUMNS(COLUMN("name"), COLUMN_AS("value", NULL, KIND_TEXT))},
    {"list_parameters", "parameters", 3,
     COLUMNS(COLUMN("component"), COLUMN("name"), COLUMN_AS("value", NULL, KIND_TEXT))},
    {"list_feature_flags", "feature-flags", 2,
     COLUMNS(COLUMN("name"), COLUMN("state"), COLUMN("stability"), COLUMN("provided_by"), COLUMN("desc"),
             COLUMN("doc_url"))},
    {"list_vhosts", "vhosts", 1,
     COLUMNS(COLUMN("name"), COLUMN("description"), COLUMN_AS("tags", NULL, KIND_LIST), COLUMN("default_queue_type"),
             COLUMN("tracing"), COLUMN_AS("cluster_state", NULL, KIND_MAP), COLUMN("messages"),
             COLUMN("messages_ready"), COLUMN("messages_unacknowledged"))},
    {"list_exchanges", "exchanges/{vhost}", 2,
     COLUMNS(COLUMN("name"), COLUMN("type"), COLUMN("durable"), COLUMN("auto_delete"), COLUMN("internal"),
             COLUMN_AS("arguments", NULL, KIND_TABLE), COLUMN("policy"), COLUMN("messages_delayed"),
             COLUMN("user_who_performed_action"))},
    {"list_delayed", "exchanges/{vhost}/{1}/delayed", 5,
     COLUMNS(COLUMN("id"), COLUMN("exchange"), COLUMN("routing_key"), COLUMN("due_at"), COLUMN("bytes"))},
    {"list_unacked", "queues/{vhost}/{1}/unacked", 8,
     COLUMNS(COLUMN("position"), COLUMN_AT("age", "unacked_for_seconds"), COLUMN("consumer_tag"),
             COLUMN_AT("channel", "channel_details.name"), COLUMN("user"), COLUMN("delivery_count"), COLUMN("exchange"),
             COLUMN("routing_key"))},
    {"list_bindings", "bindings/{vhost}", 6,
     COLUMNS(COLUMN_AT("source_name", "source"), COLUMN_AT("source_kind", "=exchange"),
             COLUMN_AT("destination_name", "destination"), COLUMN_AT("destination_kind", "destination_type"),
             COLUMN("routing_key"), COLUMN_AS("arguments", NULL, KIND_TABLE), COLUMN("vhost"))},
    {"list_consumers", "consumers/{vhost}", 7,
     COLUMNS(COLUMN_AT("queue_name", "queue.name"), COLUMN_AT("channel_pid", "channel_details.name"),
             COLUMN("consumer_tag"), COLUMN("ack_required"), COLUMN("prefetch_count"), COLUMN("active"),
             COLUMN_AS("arguments", NULL, KIND_TABLE), COLUMN("activity_status"), COLUMN("exclusive"),
             COLUMN("waiting_for"), COLUMN("explanation"))},
    {"list_channels", "channels", 4,
     COLUMNS(COLUMN_AT("pid", "name"), COLUMN("user"), COLUMN("consumer_count"), COLUMN("messages_unacknowledged"),
             COLUMN_AT("connection", "connection_details.name"), COLUMN("name"), COLUMN("number"), COLUMN("vhost"),
             COLUMN("transactional"), COLUMN("confirm"), COLUMN("messages_uncommitted"), COLUMN("acks_uncommitted"),
             COLUMN("messages_unconfirmed"), COLUMN("prefetch_count"), COLUMN("global_prefetch_count"), COLUMN("state"),
             COLUMN("user_who_performed_action"))},
    {"list_connections", "connections", 4,
     COLUMNS(COLUMN("user"), COLUMN("peer_host"), COLUMN("peer_port"), COLUMN("state"), COLUMN_AT("pid", "name"),
             COLUMN("name"), COLUMN("port"), COLUMN("host"), COLUMN("ssl"), COLUMN("ssl_protocol"),
             COLUMN("ssl_key_exchange"), COLUMN("ssl_cipher"), COLUMN("ssl_hash"), COLUMN("peer_cert_subject"),
             COLUMN("peer_cert_issuer"), COLUMN("peer_cert_validity"), COLUMN("channels"), COLUMN("protocol"),
             COLUMN("auth_mechanism"), COLUMN("vhost"), COLUMN("timeout"), COLUMN("frame_max"), COLUMN("channel_max"),
             COLUMN_AS("client_properties", NULL, KIND_TABLE), COLUMN("recv_oct"), COLUMN("recv_cnt"),
             COLUMN("send_oct"), COLUMN("send_cnt"), COLUMN("send_pend"), COLUMN("connected_at"),
             COLUMN("user_provided_name"), COLUMN("node"), COLUMN("type"), COLUMN("user_who_performed_action"))},
    {"list_queues", "queues/{vhost}", 2,
     COLUMNS(COLUMN("name"), COLUMN("messages"), COLUMN("durable"), COLUMN("auto_delete"),
             COLUMN_AS("arguments", NULL, KIND_TABLE), COLUMN("policy"), COLUMN("operator_policy"),
             COLUMN_AS("effective_policy_definition", NULL, KIND_TABLE), COLUMN_AT("pid", "name"),
             COLUMN_AT("owner_pid", "owner_pid_details.name"), COLUMN("exclusive"),
             COLUMN_AT("exclusive_consumer_pid", "exclusive_consumer_pid_details.name"),
             COLUMN("exclusive_consumer_tag"), COLUMN("messages_ready"), COLUMN("messages_unacknowledged"),
             COLUMN("messages_ready_ram"), COLUMN("messages_unacknowledged_ram"), COLUMN("messages_ram"),
             COLUMN("messages_persistent"), COLUMN("message_bytes"), COLUMN("message_bytes_ready"),
             COLUMN("message_bytes_unacknowledged"), COLUMN("message_bytes_ram"), COLUMN("message_bytes_persistent"),
             COLUMN("head_message_timestamp"), COLUMN_AT("disk_reads", "message_stats.disk_reads"),
             COLUMN_AT("disk_writes", "message_stats.disk_writes"), COLUMN("consumers"), COLUMN("consumer_utilisation"),
             COLUMN("consumer_capacity"), COLUMN("memory"), COLUMN("state"), COLUMN("type"), COLUMN("leader"),
             COLUMN_AS("members", NULL, KIND_LIST), COLUMN_AS("online", NULL, KIND_LIST), COLUMN_AT("slave_pids", "="),
             COLUMN_AT("synchronised_slave_pids", "="), COLUMN("user_who_performed_action"), COLUMN("vhost"),
             COLUMN("node"))},
};

/* One list that is being printed. */
struct printing {
    struct ctl *c;
    const struct column *columns[TABLE_COLUMNS_MAX];
    size_t n;
    struct table *table; /* owned; NULL: nothing was printed yet */
    const char *vhost;   /* only those of it; NULL: all */
};

static void begin(struct printing *p)
{
    bool has_headers = !p->c->is_silent && !options_has(p->c->options, OPTION_NO_HEADERS);
    if (p->table == NULL)
        p->table = table_create(stdout, p->c->format, has_headers, p->columns, p->n);
}

static bool on_item(const json_t *item, void *arg)
{
    struct printing *p = arg;
    if (p->vhost != NULL && strcmp(ctl_string(item, "vhost"), p->vhost) != 0)
        return true;
    begin(p);
    table_row(p->table, item);
    return !ferror(stdout);
}

static bool choose(struct printing *p, const struct listing *l, const char *name, size_t len)
{
    for (const struct column *at = l->columns; at->name != NULL; at++) {
        if (strlen(at->name) == len && strncmp(at->name, name, len) == 0 && p->n < TABLE_COLUMNS_MAX) {
            p->columns[p->n++] = at;
            return true;
        }
    }
    return false;
}

/* The columns that are asked for: words, or several in one with commas. */
static int choose_columns(struct printing *p, const struct listing *l)
{
    struct ctl *c = p->c;
    bool are_asked = c->command->most == COMMAND_WORDS_ANY && c->n_args > 0;
    for (size_t i = 0; !are_asked && i < l->n_default; i++)
        p->columns[p->n++] = &l->columns[i];
    for (size_t i = 0; are_asked && i < c->n_args; i++) {
        for (const char *at = c->args[i]; *at != '\0';) {
            size_t len = strcspn(at, ",");
            if (len > 0 && !choose(p, l, at, len))
                return ctl_misused(c, EX_USAGE, "Info key(s) %.*s are not supported", (int)len, at);
            at += len + (at[len] == ',');
        }
    }
    return p->n > 0 ? 0 : ctl_misused(c, EX_USAGE, "which columns?");
}

/* The list's path, and what the API may leave out of it. */
static char *path_to(const struct printing *p, const struct listing *l)
{
    char *copy = str_format("%s", l->path), *rest = copy, *names = str_format("%s", p->vhost != NULL ? "vhost" : "");
    const char *segments[5] = {NULL, NULL, NULL, NULL, NULL};
    for (unsigned i = 0; rest != NULL && i < 4; i++) {
        segments[i] = strsep(&rest, "/");
        if (strcmp(segments[i], "{vhost}") == 0)
            segments[i] = ctl_vhost(p->c);
        else if (strcmp(segments[i], "{1}") == 0)
            segments[i] = p->c->args[0];
    }
    for (size_t i = 0; i < p->n; i++) {
        const char *at = p->columns[i]->path != NULL ? p->columns[i]->path : p->columns[i]->name;
        char *longer = at[0] == '=' ? NULL : str_format("%s%s%s", names, names[0] != '\0' ? "," : "", at);
        if (longer != NULL) {
            free(names);
            names = longer;
        }
    }
    char *path = path_join(segments);
    if (names[0] != '\0')
        path = path_query(path, "columns", names);
    free(names);
    free(copy);
    return path;
}

static int say_missing(struct ctl *c, const struct listing *l)
{
    if (strstr(l->path, "exchanges/{vhost}/{1}") != NULL)
        return ctl_fail(c, EX_UNAVAILABLE, "no exchange '%s' in vhost '%s'", c->args[0], ctl_vhost(c));
    if (strstr(l->path, "queues/{vhost}/{1}") != NULL)
        return ctl_fail(c, EX_UNAVAILABLE, "no queue '%s' in vhost '%s'", c->args[0], ctl_vhost(c));
    if (strstr(l->path, "{vhost}") != NULL)
        return ctl_fail_bare(c, EX_DATAERR, "Virtual host '%s' does not exist", ctl_vhost(c));
    if (strstr(l->path, "{1}") != NULL)
        return ctl_fail(c, EX_NOUSER, "User \"%s\" does not exist", c->args[0]);
    return ctl_fail(c, EX_UNAVAILABLE, "this broker has no such list");
}

/* Prints the list; the columns are chosen. */
static int print_list(struct printing *p, const struct listing *l)
{
    struct answer a;
    int status = ctl_each(p->c, path_to(p, l), on_item, p, &a);
    if (status == 0 && a.status == 404)
        status = say_missing(p->c, l);
    else if (status == 0)
        status = ctl_refused(p->c, &a);
    if (status == 0)
        begin(p);
    table_destroy(p->table);
    answer_fini(&a);
    return status;
}

int list_run(struct ctl *c)
{
    const struct listing *l = listings;
    while (strcmp(l->command, c->command->name) != 0)
        l++;
    struct printing p = {.c = c};
    int status = choose_columns(&p, l);
    if (status != 0)
        return status;
    ctl_say(c, c->command->banner);
    if (strcmp(l->command, "list_parameters") == 0) {
        p.vhost = ctl_vhost(c);
        status = ctl_need_vhost(c, p.vhost);
    }
    return status != 0 ? status : print_list(&p, l);
}

int list_nothing(struct ctl *c)
{
    if (c->format == FORMAT_JSON)
        puts("[\n]");
    return 0;
}

/* ---- Limits: of all, or the JSON of one. */

static const struct listing limits[] = {
    {"", "vhost-limits", 2, COLUMNS(COLUMN("vhost"), COLUMN_AS("limits", "value", KIND_TEXT))},
    {"", "user-limits", 2, COLUMNS(COLUMN("user"), COLUMN_AS("limits", "value", KIND_TEXT))},
};

static int list_all_limits(struct ctl *c, bool are_users)
{
    const struct listing *l = &limits[are_users];
    struct printing p = {.c = c, .columns = {&l->columns[0], &l->columns[1]}, .n = 2};
    return print_list(&p, l);
}

int list_limits(struct ctl *c)
{
    bool are_users = strcmp(c->command->name, "list_user_limits") == 0;
    const char *of = are_users ? options_text(c->options, OPTION_USER, "guest") : ctl_vhost(c);
    bool are_all = options_has(c->options, OPTION_GLOBAL);
    if (are_all && !c->is_quiet)
        ctl_tell(c, "Listing limits for all %s ...", are_users ? "users" : "vhosts");
    else if (!c->is_quiet)
        ctl_tell(c, "Listing limits for %s \"%s\" ...", are_users ? "user" : "vhost", of);
    if (are_all)
        return list_all_limits(c, are_users);
    struct answer a;
    int status = are_users ? ctl_need_user(c, of) : ctl_need_vhost(c, of);
    if (status != 0)
        return status;
    status = ctl_call(c, "GET", path_of(are_users ? "user-limits" : "vhost-limits", of), NULL, &a);
    if (status == 0)
        status = ctl_refused(c, &a);
    json_t *value = json_object_get(json_array_get(a.json, 0), "value");
    char *text = json_is_object(value) ? output_cell(value, KIND_TEXT) : str_format("{}");
    if (status == 0 && c->format == FORMAT_JSON)
        ctl_print_json(c, json_pack("{s:s, s:s, s:s}", "node", c->node, "result", "ok", "value", text));
    else if (status == 0)
        puts(text);
    free(text);
    answer_fini(&a);
    return status;
}

/* ---- Policies that match a name. */

static bool matches(const char *pattern, const char *name)
{
    char *error = NULL;
    struct pattern *p = pattern_create(bytes_of_string(pattern), &error);
    bool does = p != NULL && pattern_match(p, bytes_of_string(name)) == PATTERN_MATCHES;
    free(error);
    pattern_destroy(p);
    return does;
}

/* "all" matches whatever is asked for, and "queues" the kinds of queues. */
static bool applies(const char *to, const char *asked)
{
    bool is_queue = strcmp(asked, "exchanges") != 0;
    return strcmp(to, "all") == 0 || strcmp(to, asked) == 0 || (is_queue && strcmp(to, "exchanges") != 0);
}

static int compare_priorities(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "priority"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "priority"));
    return (x < y) - (x > y);
}

static void print_matching(struct printing *p, const json_t *policies)
{
    size_t n = 0, i, room = json_array_size(policies);
    const json_t **found = alloc_array(NULL, room + 1, sizeof(void *)), *policy;
    json_array_foreach((json_t *)(uintptr_t)policies, i, policy)
    {
        bool does = applies(ctl_string(policy, "apply-to"), options_text(p->c->options, OPTION_APPLY_TO, "queues")) &&
                    matches(ctl_string(policy, "pattern"), p->c->args[0]);
        if (does)
            found[n++] = policy;
    }
    qsort(found, n, sizeof(void *), compare_priorities);
    for (i = 0; i < n; i++)
        on_item(found[i], p);
    begin(p);
    free(found);
}

int list_policies_that_match(struct ctl *c)
{
    const struct listing *l = listings;
    while (strcmp(l->command, "list_policies") != 0)
        l++;
    struct printing p = {.c = c};
    struct answer a;
    choose_columns(&p, l);
    int status = ctl_call(c, "GET", path_of("policies", ctl_vhost(c)), NULL, &a);
    if (status == 0 && a.status == 404)
        status = say_missing(c, l);
    else if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0)
        print_matching(&p, a.json);
    table_destroy(p.table);
    answer_fini(&a);
    return status;
}
