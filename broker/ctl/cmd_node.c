/* What there is to say of the broker as a whole. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"
#include "broker/ctl/node.h"

enum { LOG_LINES_MAX = 1000000, LOG_LOOK_MS = 250, PARTS_MAX = 128 };

static json_t *copy(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value != NULL ? json_incref(value) : json_null();
}

static long long integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* ---- Units. */

struct unit {
    const char *name;
    double bytes;
};

static const struct unit units[] = {{"gb", 1e9}, {"mb", 1e6}, {"kb", 1e3}, {"bytes", 1}};

/* NULL: it has said that there is none such. */
static const struct unit *unit_of(const struct ctl *c)
{
    const char *name = options_text(c->options, OPTION_UNIT, "gb");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(units[i].name, name) == 0)
            return &units[i];
    ctl_misused(c, EX_USAGE, "unit '%s' is not supported. Please use one of: bytes, mb, gb", name);
    return NULL;
}

/* Up to four digits behind the point, but one at least. */
static char *amount(double bytes, const struct unit *u)
{
    if (u->bytes == 1)
        return str_format("%.0f bytes", bytes);
    char number[64];
    int n = snprintf(number, sizeof number, "%.4f", bytes / u->bytes);
    while (n > 2 && number[n - 1] == '0' && number[n - 2] != '.')
        number[--n] = '\0';
    return str_format("%s %s", number, u->name);
}

/* ---- Memory. */

struct part {
    const char *name;
    double bytes;
};

static int compare_parts(const void *a, const void *b)
{
    double x = ((const struct part *)a)->bytes, y = ((const struct part *)b)->bytes;
    return (x < y) - (x > y);
}

/* The parts of the memory, the largest first; *total is what they are parts of. */
static size_t parts_of(const struct node *n, struct part *parts, double *total)
{
    json_t *memory = n->memory, *totals = json_object_get(memory, "total");
    size_t count = 0;
    *total = json_is_integer(totals) ? (double)json_integer_value(totals) : (double)integer(totals, "rss");
    for (void *at = json_object_iter(memory); at != NULL && count < PARTS_MAX; at = json_object_iter_next(memory, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        if (json_is_integer(value) && strcmp(name, "total") != 0)
            parts[count++] = (struct part){name, (double)json_integer_value(value)};
    }
    if (count > 0)
        qsort(parts, count, sizeof parts[0], compare_parts);
    return count;
}

static void print_parts(const struct node *n, const struct unit *u, const char *percent)
{
    struct part parts[PARTS_MAX];
    double total;
    size_t count = parts_of(n, parts, &total);
    for (size_t i = 0; i < count; i++) {
        char *text = amount(parts[i].bytes, u);
        printf("%s: %s (%.2f%s)\n", parts[i].name, text, total > 0 ? parts[i].bytes * 100 / total : 0, percent);
        free(text);
    }
}

int node_memory(struct ctl *c)
{
    struct node n;
    const struct unit *u = unit_of(c);
    if (u == NULL)
        return EX_USAGE;
    int status = node_load(c, &n);
    if (status == 0 && c->format == FORMAT_JSON) {
        struct part parts[PARTS_MAX];
        double total;
        size_t count = parts_of(&n, parts, &total);
        json_t *all = json_object();
        for (size_t i = 0; i < count; i++)
            json_object_set_new(all, parts[i].name,
                                json_pack("{s:I, s:f}", "bytes", (json_int_t)parts[i].bytes, "percentage",
                                          total > 0 ? parts[i].bytes * 100 / total : 0.0));
        ctl_print_json(c, all);
    } else if (status == 0) {
        print_parts(&n, u, "%");
    }
    node_fini(&n);
    return status;
}

/* ---- Status. */

static json_t *status_json(const struct node *n)
{
    static const char *const same[][2] = {
        {"active_plugins", "enabled_plugins"},
        {"config_files", "config_files"},
        {"data_directory", "db_dir"},
        {"disk_free", "disk_free"},
        {"disk_free_limit", "disk_free_limit"},
        {"log_files", "log_files"},
        {"net_ticktime", "net_ticktime"},
        {"run_queue", "run_queue"},
        {"vm_memory_calculation_strategy", "mem_calculation_strategy"},
        {"vm_memory_high_watermark_limit", "mem_limit"},
    };
    json_t *all = json_object(), *totals = json_object_get(n->overview, "object_totals");
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        json_object_set_new(all, same[i][0], copy(n->node, same[i][1]));
    json_object_set_new(all, "alarms", node_alarms(n));
    json_object_set_new(all, "erlang_version", copy(n->overview, "erlang_full_version"));
    json_object_set_new(all, "file_descriptors",
                        json_pack("{s:I, s:I, s:I, s:I}", "total_limit", integer(n->node, "fd_total"), "total_used",
                                  integer(n->node, "fd_used"), "sockets_limit", integer(n->node, "sockets_total"),
                                  "sockets_used", integer(n->node, "sockets_used")));
    json_object_set_new(all, "is_under_maintenance",
                        json_boolean(json_is_true(json_object_get(n->node, "being_drained"))));
    json_object_set_new(all, "listeners", node_listeners_of(n));
    json_object_set_new(all, "memory", n->memory != NULL ? json_incref(n->memory) : json_object());
    json_object_set_new(all, "os", json_string("Linux"));
    json_object_set_new(all, "pid", json_integer(strtoll(ctl_string(n->node, "os_pid"), NULL, 10)));
    json_object_set_new(
        all, "processes",
        json_pack("{s:I, s:I}", "limit", integer(n->node, "proc_total"), "used", integer(n->node, "proc_used")));
    json_object_set_new(all, "product_name", copy(n->overview, "product_name"));
    json_object_set_new(all, "product_version", copy(n->overview, "product_version"));
    json_object_set_new(all, "rabbitmq_version", copy(n->overview, "rabbitmq_version"));
    json_object_set_new(all, "totals",
                        json_pack("{s:I, s:I}", "connection_count", integer(totals, "connections"), "queue_count",
                                  integer(totals, "queues")));
    json_object_set_new(all, "uptime", json_integer(integer(n->node, "uptime") / 1000));
    return all;
}

static void print_list(const char *title, const json_t *list, const char *none)
{
    size_t i;
    json_t *item;
    printf("\n%s\n\n", title);
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        printf(" * ");
        output_text(stdout, json_string_value(item) != NULL ? json_string_value(item) : "");
        putchar('\n');
    }
    if (json_array_size(list) == 0)
        puts(none);
}

static void print_alarms(const struct node *n)
{
    json_t *alarms = node_alarms(n), *alarm;
    size_t i;
    printf("\nAlarms\n\n");
    json_array_foreach(alarms, i, alarm)
    {
        const char *resource = ctl_string(alarm, "resource");
        printf("%s alarm on node %s\n", strcmp(resource, "disk") == 0 ? "Free disk space" : "Memory",
               ctl_string(alarm, "node"));
    }
    if (json_array_size(alarms) == 0)
        puts("(none)");
    json_decref(alarms);
}

static void print_status(const struct ctl *c, const struct node *n, const struct unit *u)
{
    const json_t *totals = json_object_get(n->overview, "object_totals");
    printf("Runtime\n\nOS PID: %s\nOS: Linux\nUptime (seconds): %lld\nIs under maintenance?: %s\n",
           ctl_string(n->node, "os_pid"), integer(n->node, "uptime") / 1000,
           json_is_true(json_object_get(n->node, "being_drained")) ? "true" : "false");
    const char *product = ctl_string(n->overview, "product_name");
    if (strcmp(product, "RabbitMQ") != 0)
        printf("%s version: %s\n", product, ctl_string(n->overview, "product_version"));
    printf("RabbitMQ version: %s\nNode name: %s\n", ctl_string(n->overview, "rabbitmq_version"),
           n->node != NULL ? ctl_string(n->node, "name") : c->node);
    print_list("Plugins", json_object_get(n->node, "enabled_plugins"), "(none)");
    printf("\nData directory\n\nNode data directory: %s\n", ctl_string(n->node, "db_dir"));
    print_list("Config files", json_object_get(n->node, "config_files"), "");
    print_list("Log file(s)", json_object_get(n->node, "log_files"), "");
    print_alarms(n);
    char *used = amount((double)integer(n->node, "mem_used"), u),
         *limit = amount((double)integer(n->node, "mem_limit"), u);
    printf("\nMemory\n\nTotal memory used: %s\nMemory high watermark setting: computed to: %s\n\n", used, limit);
    free(used);
    free(limit);
    print_parts(n, u, " %");
    printf("\nFile Descriptors\n\nTotal: %lld, limit: %lld\nSockets: %lld, limit: %lld\n", integer(n->node, "fd_used"),
           integer(n->node, "fd_total"), integer(n->node, "sockets_used"), integer(n->node, "sockets_total"));
    char *least = amount((double)integer(n->node, "disk_free_limit"), u);
    char *free_space = amount((double)integer(n->node, "disk_free"), u);
    printf("\nFree Disk Space\n\nLow free disk space watermark: %s\nFree disk space: %s\n", least, free_space);
    free(least);
    free(free_space);
    printf("\nTotals\n\nConnection count: %lld\nQueue count: %lld\n\nListeners\n\n", integer(totals, "connections"),
           integer(totals, "queues"));
    node_print_listeners(stdout, n, "Interface");
}

int node_status(struct ctl *c)
{
    struct node n;
    const struct unit *u = unit_of(c);
    if (u == NULL)
        return EX_USAGE;
    int status = node_load(c, &n);
    if (status == 0 && c->format == FORMAT_JSON)
        ctl_print_json(c, status_json(&n));
    else if (status == 0)
        print_status(c, &n, u);
    node_fini(&n);
    return status;
}

int node_cluster_status(struct ctl *c)
{
    struct node n;
    int status = node_load(c, &n);
    const char *name = ctl_string(n.overview, "node"), *cluster = ctl_string(n.overview, "cluster_name");
    name = name[0] != '\0' ? name : c->node;
    if (status == 0 && c->format == FORMAT_JSON) {
        json_t *all = json_pack("{s:o, s:s, s:[s], s:[s], s:[], s:{}}", "alarms", node_alarms(&n), "cluster_name",
                                cluster, "disk_nodes", name, "running_nodes", name, "ram_nodes", "partitions");
        json_object_set_new(all, "listeners", json_pack("{s:o}", name, node_listeners_of(&n)));
        json_object_set_new(all, "maintenance_status", json_pack("{s:s}", name, "not under maintenance"));
        json_object_set_new(
            all, "versions",
            json_pack("{s:{s:O}}", name, "rabbitmq_version", json_object_get(n.overview, "rabbitmq_version")));
        ctl_print_json(c, all);
    } else if (status == 0) {
        printf("Basics\n\nCluster name: %s\n\nDisk Nodes\n\n%s\n\nRunning Nodes\n\n%s\n\nVersions\n\n", cluster, name,
               name);
        printf("%s: %s %s (RabbitMQ %s)\n\nMaintenance status\n\nNode: %s, status: %s\n", name,
               ctl_string(n.overview, "product_name"), ctl_string(n.overview, "product_version"),
               ctl_string(n.overview, "rabbitmq_version"), name,
               json_is_true(json_object_get(n.node, "being_drained")) ? "under maintenance" : "not under maintenance");
        print_alarms(&n);
        printf("\nNetwork Partitions\n\n(none)\n\nListeners\n\n");
        char *head = str_format("Node: %s, interface", name);
        node_print_listeners(stdout, &n, head);
        free(head);
    }
    node_fini(&n);
    return status;
}

int node_version(struct ctl *c)
{
    struct node n;
    int status = node_load(c, &n);
    if (status == 0 && c->format == FORMAT_JSON)
        ctl_print_json(c, json_pack("{s:s, s:s, s:O?}", "node", c->node, "result", "ok", "value",
                                    json_object_get(n.overview, "rabbitmq_version")));
    else if (status == 0)
        puts(ctl_string(n.overview, "rabbitmq_version"));
    node_fini(&n);
    return status;
}

int node_listeners(struct ctl *c)
{
    struct node n;
    int status = node_load(c, &n);
    if (status == 0 && c->format == FORMAT_JSON)
        ctl_print_json(
            c, json_pack("{s:s, s:s, s:o}", "node", c->node, "result", "ok", "listeners", node_listeners_of(&n)));
    else if (status == 0)
        node_print_listeners(stdout, &n, "Interface");
    node_fini(&n);
    return status;
}

/* ---- Configuration. */

static void print_settings(const json_t *all)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)all, key, value)
    {
        char *text = output_cell(value, KIND_PLAIN);
        output_text(stdout, key);
        fputs(" = ", stdout);
        output_text(stdout, text);
        putchar('\n');
        free(text);
    }
}

int node_environment(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "GET", path_of("millrace", "environment"), NULL, &a);
    if (status == 0 && ctl_is_unknown(&a))
        status = ctl_fail(c, EX_UNAVAILABLE, "this broker does not tell its configuration");
    else if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0 && (c->format == FORMAT_JSON || !json_is_object(a.json)))
        output_json(stdout, a.json);
    else if (status == 0)
        print_settings(a.json);
    answer_fini(&a);
    return status;
}

/* Everything: each part is a command of its own, and one that fails does not stop the others. */
int node_report(struct ctl *c)
{
    static const char *const parts[] = {"status",         "cluster_status", "environment",   "list_connections",
                                        "list_channels",  "list_vhosts",    "list_users",    "list_queues",
                                        "list_exchanges", "list_bindings",  "list_policies", "list_parameters",
                                        "list_consumers"};
    const struct command *whole = c->command;
    int worst = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        c->command = command_find(c->tool, parts[i]);
        ctl_announce(c);
        int status = c->command->run(c);
        worst = status > worst ? status : worst;
        putchar('\n');
        if (status == EX_UNAVAILABLE && i == 0)
            break;
    }
    c->command = whole;
    return worst;
}

/* ---- The log. */

/* The log's files; NULL: it has said what is wrong. */
static json_t *log_files(struct ctl *c, int *status)
{
    struct node n;
    *status = node_load(c, &n);
    json_t *files = *status == 0 ? json_incref(json_object_get(n.node, "log_files")) : NULL;
    if (*status == 0 && !json_is_array(files))
        *status = ctl_fail(c, EX_UNAVAILABLE, "this broker does not tell where it logs");
    node_fini(&n);
    return files;
}

int node_log_location(struct ctl *c)
{
    int status;
    json_t *files = log_files(c, &status);
    if (status == 0 && c->format == FORMAT_JSON)
        output_json(stdout, files);
    for (size_t i = 0; status == 0 && c->format != FORMAT_JSON && i < json_array_size(files); i++) {
        const char *file = json_string_value(json_array_get(files, i));
        puts(file != NULL ? file : "");
    }
    json_decref(files);
    return status;
}

/* Moves to where the last lines begin. */
static void seek_lines(FILE *f, long lines)
{
    char block[4096];
    fseeko(f, 0, SEEK_END);
    off_t at = ftello(f);
    long seen = 0;
    bool is_last = true;
    while (at > 0) {
        size_t n = at < (off_t)sizeof block ? (size_t)at : sizeof block;
        fseeko(f, at - (off_t)n, SEEK_SET);
        if (fread(block, 1, n, f) != n)
            break;
        for (size_t i = n; i > 0; i--) {
            if (block[i - 1] == '\n' && !is_last && ++seen == lines) {
                fseeko(f, at - (off_t)n + (off_t)i, SEEK_SET);
                return;
            }
            is_last = false;
        }
        at -= (off_t)n;
    }
    rewind(f);
}

/* Prints what comes, until the deadline or for ever. */
static int follow(FILE *f, long timeout_ms)
{
    char block[4096];
    int64_t until = ctl_now_ms() + timeout_ms;
    while (!ferror(stdout) && !ferror(f) && (timeout_ms <= 0 || ctl_now_ms() < until)) {
        size_t n = fread(block, 1, sizeof block, f);
        fwrite(block, 1, n, stdout);
        if (n > 0)
            continue;
        fflush(stdout);
        clearerr(f);
        ctl_sleep_ms(LOG_LOOK_MS);
    }
    return 0;
}

int node_log_tail(struct ctl *c)
{
    int status;
    char block[4096];
    bool is_stream = strcmp(c->command->name, "log_tail_stream") == 0;
    double lines = options_number(c->options, OPTION_LINES, LOG_TAIL_LINES);
    if (lines < 1 || lines > LOG_LINES_MAX)
        return ctl_misused(c, EX_USAGE, "--number is from 1 to %d", LOG_LINES_MAX);
    json_t *files = log_files(c, &status);
    const char *path = json_string_value(json_array_get(files, 0));
    FILE *f = path != NULL && path[0] == '/' ? fopen(path, "re") : NULL;
    if (status == 0 && f == NULL)
        status = ctl_fail(c, EX_UNAVAILABLE, "%s: %s", path != NULL ? path : "the broker's log",
                          path != NULL && path[0] == '/' ? strerrordesc_np(errno) : "is not a file");
    if (status == 0 && is_stream) {
        fseeko(f, 0, SEEK_END);
        status = follow(f, ctl_timeout_ms(c, 0));
    } else if (status == 0) {
        seek_lines(f, (long)lines);
        for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
            fwrite(block, 1, n, stdout);
    }
    if (f != NULL)
        fclose(f);
    json_decref(files);
    return status;
}
