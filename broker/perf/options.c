#define _GNU_SOURCE
#include "broker/perf/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_URI,
    KIND_INT,
    KIND_UNSIGNED,
    KIND_U64,
    KIND_SIZE,
    KIND_SETTING,
    KIND_FANOUT,
    KIND_MESSAGE_FLAG,
    KIND_CHURN,
    KIND_IDLE
};

struct known {
    const char *head; /* of a group; then it is no option */
    const char *name;
    char letter;
    enum kind kind;
    size_t offset;
    uint64_t least, most;
    const char *value, *help;
};

static const struct known table[] = {
#define HEAD(text) {.head = (text)},
#define OPTION(name, letter, kind, member, least, most, value, help)                                                   \
    {NULL, name, letter, KIND_##kind, offsetof(struct perf_options, member), least, most, value, help},
#include "broker/perf/options.def"
};
enum {
    KNOWN = sizeof table / sizeof *table,
    NUMBER_BASE = 256, /* what getopt_long() answers for table[0], which is no letter then */
    COLUMN = 34,
    SECONDS_DEFAULT = 10,
    SIZE_DEFAULT = 16,
    CHURN_CALLERS = 64, /* connections at a time */
    CHURN_LINKS = 16,   /* connections for other churn */
};

__attribute__((format(printf, 1, 2))) static bool wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("millrace-perf: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

static const char *const churns[] = {
    "none", "connections", "connections-tls", "channels", "queues", "server-named-queues", NULL};
static const char *const idles[] = {"none", "connections", "queues", NULL};

const char *perf_churn_name(enum perf_churn churn)
{
    return churns[churn];
}

const char *perf_idle_name(enum perf_idle idle)
{
    return idles[idle];
}

/* Where the first n letters of a word stand in a list, 0 for "none" and for what is not there. */
static unsigned find_word(const char *const *list, const char *word, size_t n)
{
    for (unsigned i = 1; list[i] != NULL; i++)
        if (strlen(list[i]) == n && memcmp(list[i], word, n) == 0)
            return i;
    return 0;
}

static bool read_number(const struct known *k, const char *text, uint64_t *to)
{
    char *end;
    errno = 0;
    *to = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || *to < k->least || *to > k->most)
        return wrong("--%s takes a number from %llu to %llu, not '%s'", k->name, (unsigned long long)k->least,
                     (unsigned long long)k->most, text);
    return true;
}

static bool read_idle(struct perf_options *o, const char *text)
{
    const struct known k = {.name = "idle", .least = 1, .most = PERF_IDLE_MAX};
    size_t n = strcspn(text, ":");
    uint64_t count = 0;
    o->idle = (enum perf_idle)find_word(idles, text, n);
    if (o->idle == PERF_IDLE_NONE)
        return wrong("--idle takes connections:N or queues:N, not '%s'", text);
    if (text[n] == ':' && !read_number(&k, text + n + 1, &count))
        return false;
    o->idle_count = (unsigned)count;
    return true;
}

static bool read_uri(struct perf_options *o, const char *text)
{
    perf_uri_fini(&o->uri);
    const char *why = perf_uri_read(&o->uri, text);
    return why == NULL || wrong("--uri '%s': %s", text, why);
}

static bool read_message_flag(struct perf_options *o, const char *text)
{
    if (strcmp(text, "persistent") == 0)
        o->is_persistent = true;
    else if (strcmp(text, "mandatory") == 0)
        o->is_mandatory = true;
    else
        return wrong("--flag takes persistent or mandatory, not '%s'", text);
    return true;
}

static bool read_setting(struct perf_options *o, const char *text)
{
    if (o->settings_count == PERF_SETTINGS_MAX)
        return wrong("at most %d settings", PERF_SETTINGS_MAX);
    o->settings[o->settings_count++] = text;
    return true;
}

static bool read_churn(struct perf_options *o, const char *text)
{
    o->churn = (enum perf_churn)find_word(churns, text, strlen(text));
    return o->churn != PERF_CHURN_NONE || wrong("there is no churn of '%s'", text);
}

static bool read_value(struct perf_options *o, const struct known *k, const char *text)
{
    void *to = (char *)o + k->offset;
    uint64_t n = 0;
    switch (k->kind) {
    case KIND_FLAG:
        *(bool *)to = true;
        return true;
    case KIND_TEXT:
        *(const char **)to = text;
        return true;
    case KIND_URI:
        return read_uri(o, text);
    case KIND_SETTING:
        return read_setting(o, text);
    case KIND_MESSAGE_FLAG:
        return read_message_flag(o, text);
    case KIND_CHURN:
        return read_churn(o, text);
    case KIND_IDLE:
        return read_idle(o, text);
    case KIND_INT:
    case KIND_UNSIGNED:
    case KIND_U64:
    case KIND_SIZE:
    case KIND_FANOUT:
        break;
    }
    if (!read_number(k, text, &n))
        return false;
    if (k->kind == KIND_INT)
        *(int *)to = (int)n;
    else if (k->kind == KIND_U64)
        *(uint64_t *)to = n;
    else if (k->kind == KIND_SIZE)
        *(size_t *)to = (size_t)n;
    else
        *(unsigned *)to = (unsigned)n;
    o->is_fanout |= k->kind == KIND_FANOUT;
    return true;
}

static void print_help(void)
{
    puts("usage: millrace-perf [OPTION]…\n"
         "Publishes to an AMQP 0-9-1 broker and consumes what it published, and tells what came through, how long it\n"
         "took and what it cost.");
    for (unsigned i = 0; i < KNOWN; i++) {
        const struct known *k = &table[i];
        char left[128], letter[] = {'-', k->letter, ',', ' ', '\0'};
        if (k->head != NULL) {
            printf("\n%s:\n", k->head);
            continue;
        }
        int n = snprintf(left, sizeof left, "  %s--%s%s%s", k->letter != 0 ? letter : "    ", k->name,
                         k->value != NULL ? " " : "", k->value != NULL ? k->value : "");
        if (n >= COLUMN)
            printf("%s\n%*s%s\n", left, COLUMN, "", k->help);
        else
            printf("%-*s%s\n", COLUMN, left, k->help);
    }
    puts("\n  -?, --help; --version");
}

/* What is left to getopt_long(), which must be asked until it says that there is no more. */
static int read_all(struct perf_options *o, int argc, char **argv)
{
    struct option longs[KNOWN + 3] = {0};
    char shorts[2 * KNOWN + 2] = "?";
    unsigned n = 0, letters = 1;
    for (unsigned i = 0; i < KNOWN; i++) {
        bool takes = table[i].kind != KIND_FLAG;
        if (table[i].head != NULL)
            continue;
        longs[n++] =
            (struct option){table[i].name, takes ? required_argument : no_argument, NULL, NUMBER_BASE + (int)i};
        if (table[i].letter == 0)
            continue;
        shorts[letters++] = table[i].letter;
        if (takes)
            shorts[letters++] = ':';
    }
    longs[n++] = (struct option){"help", no_argument, NULL, NUMBER_BASE + KNOWN};
    longs[n] = (struct option){"version", no_argument, NULL, NUMBER_BASE + KNOWN + 1};

    optind = 0; /* argv may not be the first that getopt_long() sees in this process */
    for (int c; (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) { // NOLINT(concurrency-mt-unsafe)
        if (c == NUMBER_BASE + KNOWN || (c == '?' && strcmp(argv[optind - 1], "-?") == 0)) {
            print_help();
            return PERF_OPTIONS_HELPED;
        }
        if (c == NUMBER_BASE + KNOWN + 1) {
            puts("millrace-perf " PACKAGE_VERSION);
            return PERF_OPTIONS_HELPED;
        }
        if (c == '?')
            return PERF_OPTIONS_WRONG; /* getopt_long() has said why */
        for (unsigned i = 0; i < KNOWN; i++)
            if (c == NUMBER_BASE + (int)i || (c == table[i].letter && c != 0))
                if (!read_value(o, &table[i], optarg))
                    return PERF_OPTIONS_WRONG;
    }
    if (o->idle != PERF_IDLE_NONE && o->idle_count == 0 && optind < argc) {
        const struct known k = {.name = "idle", .least = 1, .most = PERF_IDLE_MAX};
        uint64_t count;
        if (!read_number(&k, argv[optind++], &count))
            return PERF_OPTIONS_WRONG;
        o->idle_count = (unsigned)count;
    }
    if (optind < argc)
        return wrong("what is '%s'?", argv[optind]), PERF_OPTIONS_WRONG;
    return PERF_OPTIONS_OK;
}

/* The exchange that all the other options come to. */
static bool settle_exchange(struct perf_options *o)
{
    static const char *const types[] = {"", "direct", "fanout", "topic", NULL};
    if (o->is_fanout && o->exchange_type == NULL)
        o->exchange_type = "fanout";
    if (o->bindings > 0 && o->exchange_type == NULL)
        o->exchange_type = "topic";
    if (o->exchange == NULL && o->exchange_type == NULL && o->routing_key == NULL)
        o->exchange = "";
    if (o->exchange_type == NULL)
        o->exchange_type = "direct";
    if (find_word(types, o->exchange_type, strlen(o->exchange_type)) == 0)
        return wrong("--type takes direct, fanout or topic, not '%s'", o->exchange_type);
    if (o->is_fanout != (strcmp(o->exchange_type, "fanout") == 0) && o->is_fanout)
        return wrong("--fanout wants an exchange of type fanout, not %s", o->exchange_type);
    o->is_fanout = strcmp(o->exchange_type, "fanout") == 0;
    if (o->bindings > 0 && strcmp(o->exchange_type, "topic") != 0)
        return wrong("--bindings wants an exchange of type topic, not %s", o->exchange_type);
    if (o->exchange != NULL && o->exchange[0] == '\0' && strcmp(o->exchange_type, "direct") != 0)
        return wrong("the default exchange is not of type %s", o->exchange_type);
    return true;
}

static bool is_word_longer(const char *s, const char *name)
{
    enum { ROOM_FOR_NUMBER = 8 };
    return s != NULL && strlen(s) > UINT8_MAX - ROOM_FOR_NUMBER && !wrong("--%s: that is too long", name);
}

static bool settle_names(const struct perf_options *o)
{
    if (is_word_longer(o->queue, "queue") || is_word_longer(o->exchange, "exchange") ||
        is_word_longer(o->routing_key, "routing-key") || is_word_longer(o->queue_type, "queue-type"))
        return false;
    if (strcmp(o->tls_version, "1.2") != 0 && strcmp(o->tls_version, "1.3") != 0)
        return wrong("--tls-version takes 1.2 or 1.3, not '%s'", o->tls_version);
    if ((o->cert_file == NULL) != (o->key_file == NULL))
        return wrong("--cert and --key want each other");
    if (o->program == NULL && o->settings_count > 0)
        return wrong("--set wants --start");
    if (o->program != NULL && o->pid > 0)
        return wrong("--start and --pid are two brokers");
    if (o->cpu_server >= 0 && o->program == NULL && o->pid == 0)
        return wrong("--cpu-server wants --start or --pid");
    return true;
}

/* What was not given becomes what follows from the rest. */
static bool settle_work(struct perf_options *o, unsigned not_given)
{
    bool is_shared = o->is_fanout || o->routing_key != NULL;
    bool is_counted = o->producer_messages > 0 || o->consumer_messages > 0;
    bool is_calling = o->churn == PERF_CHURN_CONNECTIONS || o->churn == PERF_CHURN_CONNECTIONS_TLS;
    if (o->producers == not_given && o->churn != PERF_CHURN_NONE)
        o->producers = is_calling ? CHURN_CALLERS : CHURN_LINKS;
    if (o->producers == not_given)
        o->producers = is_shared ? 1 : o->queues;
    if (o->consumers == not_given)
        o->consumers = o->queues;
    if (o->producers > PERF_LINKS_MAX || o->consumers > PERF_LINKS_MAX)
        return wrong("at most %d producers and %d consumers: -x and -y say how many", PERF_LINKS_MAX, PERF_LINKS_MAX);
    if (o->threads == not_given)
        o->threads = o->cpu_client >= 0 ? 1 : 2;
    if (o->seconds == not_given)
        o->seconds = is_counted ? 0 : SECONDS_DEFAULT;
    if (o->warm_up == not_given)
        o->warm_up = is_counted ? 0 : 1;
    o->is_durable |= o->is_persistent || o->queue_type != NULL;
    if (o->prefetch > 0 && o->acks > o->prefetch)
        o->acks = o->prefetch; /* or both would wait for ever */
    if (o->producers == 0 && o->consumers == 0)
        return wrong("there is nothing to do without a producer and without a consumer");
    if (o->has_latency && o->size < PERF_STAMP_SIZE)
        return wrong("--latency wants bodies of at least %d bytes", PERF_STAMP_SIZE);
    if (o->has_confirm_latency && o->window == 0)
        return wrong("--confirm-latency wants --confirm");
    if (o->consumers == 0 && o->consumer_messages > 0)
        return wrong("--cmessages wants a consumer");
    if (o->idle != PERF_IDLE_NONE && o->idle_count == 0)
        return wrong("--idle wants a number: connections:N or queues:N");
    if (o->idle != PERF_IDLE_NONE && o->churn != PERF_CHURN_NONE)
        return wrong("--idle and --churn are two things");
    return true;
}

int perf_options_read(struct perf_options *o, int argc, char **argv)
{
    const unsigned not_given = UINT32_MAX;
    *o = (struct perf_options){.cpu_server = -1,
                               .cpu_client = -1,
                               .tls_version = "1.3",
                               .producers = not_given,
                               .consumers = not_given,
                               .queues = 1,
                               .threads = not_given,
                               .size = SIZE_DEFAULT,
                               .backlog = UINT64_MAX,
                               .seconds = not_given,
                               .warm_up = not_given,
                               .label = ""};
    int verdict = read_all(o, argc, argv);
    if (verdict == PERF_OPTIONS_OK && (!settle_exchange(o) || !settle_names(o) || !settle_work(o, not_given)))
        verdict = PERF_OPTIONS_WRONG;
    if (verdict == PERF_OPTIONS_OK && o->uri.host == NULL && !read_uri(o, "amqp://"))
        verdict = PERF_OPTIONS_WRONG;
    if (verdict == PERF_OPTIONS_OK && o->backlog == UINT64_MAX) {
        o->backlog = PERF_BACKLOG;
        if (o->consumers == 0)
            o->backlog = 0;
        else if (o->size >= PERF_BACKLOG_BYTES / PERF_BACKLOG)
            o->backlog = PERF_BACKLOG_BYTES / (o->size + 1) + 1;
    }
    if (verdict != PERF_OPTIONS_OK)
        perf_options_fini(o);
    return verdict;
}

void perf_options_fini(struct perf_options *o)
{
    perf_uri_fini(&o->uri);
}
