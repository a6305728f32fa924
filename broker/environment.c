#define _GNU_SOURCE
#include "broker/environment.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/config.h"

// There is no other thread yet.
// NOLINTBEGIN(concurrency-mt-unsafe)

enum { LINE_ROOM = 4096, NAME_ROOM = 128 };

static const char *const prefixes[] = {"MILLRACE_", "RABBITMQ_"};
enum { PREFIXES = sizeof prefixes / sizeof prefixes[0] };

/* Variables that are one key. */
static const struct {
    const char *name, *key;
} plain[] = {
    {"DEFAULT_USER", "default_user"}, {"DEFAULT_PASS", "default_pass"}, {"DEFAULT_VHOST", "default_vhost"},
    {"NODENAME", "node_name"},        {"MNESIA_BASE", "data_dir"},      {"MNESIA_DIR", "data_dir"},
    {"DATA_DIR", "data_dir"},         {"LOG_BASE", "log.dir"},          {"PID_FILE", "pid_file"},
};

/* Variables of old images that meant TLS: silence would leave a port open that should not be. */
static const struct {
    const char *name, *instead;
} refused[] = {
    {"SSL_CACERTFILE", "ssl_options.cacertfile"},
    {"SSL_CERTFILE", "ssl_options.certfile"},
    {"SSL_KEYFILE", "ssl_options.keyfile"},
    {"SSL_VERIFY", "ssl_options.verify"},
    {"SSL_FAIL_IF_NO_PEER_CERT", "ssl_options.fail_if_no_peer_cert"},
    {"SSL_DEPTH", "ssl_options.depth"},
    {"MANAGEMENT_SSL_CACERTFILE", "management.ssl.cacertfile"},
    {"MANAGEMENT_SSL_CERTFILE", "management.ssl.certfile"},
    {"MANAGEMENT_SSL_KEYFILE", "management.ssl.keyfile"},
    {"MANAGEMENT_SSL_VERIFY", "management.ssl.verify"},
    {"MANAGEMENT_SSL_FAIL_IF_NO_PEER_CERT", "management.ssl.fail_if_no_peer_cert"},
    {"MANAGEMENT_SSL_DEPTH", "management.ssl.depth"},
};

/* The variable, and what it is called in full. */
static char *find(const char *name, const char *suffix, char full[NAME_ROOM])
{
    for (unsigned i = 0; i < PREFIXES; i++) {
        snprintf(full, NAME_ROOM, "%s%s%s", prefixes[i], name, suffix);
        char *value = getenv(full);
        if (value != NULL && value[0] != '\0')
            return value;
    }
    return NULL;
}

const char *environment_find(const char *name)
{
    char full[NAME_ROOM];
    return find(name, "", full);
}

static void set(struct config *c, const char *variable, const char *key, const char *value)
{
    char origin[NAME_ROOM + 8];
    snprintf(origin, sizeof origin, "env %s", variable);
    config_set_from(c, origin, key, value);
}

static void complain(struct config *c, bool is_error, const char *variable, const char *text)
{
    char origin[NAME_ROOM + 8];
    snprintf(origin, sizeof origin, "env %s", variable);
    config_complain(c, origin, is_error, text);
}

/* ---- One key each, also from a file. */

static void apply_file(struct config *c, const char *variable, const char *path, const char *key)
{
    char line[LINE_ROOM] = "";
    FILE *f = fopen(path, "re");
    if (f != NULL)
        setvbuf(f, NULL, _IONBF, 0); /* no buffer that would keep a secret */
    bool has_line = f != NULL && fgets(line, sizeof line, f) != NULL;
    if (f != NULL)
        fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    if (has_line)
        set(c, variable, key, line);
    else
        complain(c, true, variable, f != NULL ? "that file is empty" : "that file cannot be read");
    explicit_bzero(line, sizeof line);
}

static void apply_plain(struct config *c)
{
    char full[NAME_ROOM];
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        char *value = find(plain[i].name, "", full);
        if (value != NULL) {
            set(c, full, plain[i].key, value);
            if (strcmp(plain[i].name, "DEFAULT_PASS") == 0)
                explicit_bzero(value, strlen(value));
            continue;
        }
        value = find(plain[i].name, "_FILE", full);
        if (value != NULL)
            apply_file(c, full, value, plain[i].key);
    }
}

/* ---- Those that are more than a name. */

/* The first plain listener. */
static void apply_listener(struct config *c)
{
    char port_name[NAME_ROOM], address_name[NAME_ROOM];
    const char *port = find("NODE_PORT", "", port_name), *address = find("NODE_IP_ADDRESS", "", address_name);
    if (port == NULL && address == NULL)
        return;
    const char *number = port != NULL ? port : "5672";
    char *value = address == NULL                ? str_format("%s", number)
                  : strchr(address, ':') != NULL ? str_format("[%s]:%s", address, number)
                                                 : str_format("%s:%s", address, number);
    set(c, port != NULL ? port_name : address_name, "listeners.tcp.default", value);
    free(value);
}

static void apply_logs(struct config *c)
{
    char full[NAME_ROOM];
    const char *to = find("LOGS", "", full);
    if (to == NULL)
        return;
    bool is_console = strcmp(to, "-") == 0;
    if (is_console)
        set(c, full, "log.console", "true");
    set(c, full, "log.file", is_console ? "false" : to);
}

/* "debug", "connection.debug,channel.info" */
static void apply_levels(struct config *c)
{
    char full[NAME_ROOM], *rest = NULL;
    const char *value = find("LOG", "", full);
    if (value == NULL)
        return;
    char *all = str_format("%s", value);
    for (char *one = strtok_r(all, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        char *dot = strchr(one, '.');
        if (dot == NULL) {
            set(c, full, "log.console.level", one);
            set(c, full, "log.file.level", one);
            continue;
        }
        *dot = '\0';
        char *key = str_format("log.%s.level", one);
        set(c, full, key, dot + 1);
        free(key);
    }
    free(all);
}

static void apply_watermark(struct config *c)
{
    char full[NAME_ROOM];
    const char *value = find("VM_MEMORY_HIGH_WATERMARK", "", full);
    if (value == NULL)
        return;
    bool is_share = strchr(value, '%') != NULL || strtod(value, NULL) <= 1;
    set(c, full, is_share ? "vm_memory_high_watermark.relative" : "vm_memory_high_watermark.absolute", value);
}

/* What of Erlang's arguments people really use: -rabbit consumer_timeout N, -rabbit loopback_users [],
 * -rabbitmq_management load_definitions "PATH". */
static void apply_erlang(struct config *c)
{
    static const char *const known[][3] = {
        {"-rabbit", "consumer_timeout", "consumer_timeout"},
        {"-rabbit", "loopback_users", "loopback_users"},
        {"-rabbit", "load_definitions", "load_definitions"},
        {"-rabbitmq_management", "load_definitions", "load_definitions"},
    };
    char full[NAME_ROOM], *rest = NULL, application[NAME_ROOM] = "";
    const char *value = find("SERVER_ADDITIONAL_ERL_ARGS", "", full);
    if (value == NULL)
        return;
    char *all = str_format("%s", value);
    for (char *word = strtok_r(all, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
        if (word[0] == '-') {
            snprintf(application, sizeof application, "%s", word);
            continue;
        }
        char *argument = strtok_r(NULL, " \t", &rest);
        size_t i = 0, n = sizeof known / sizeof known[0];
        while (i < n && (strcmp(application, known[i][0]) != 0 || strcmp(word, known[i][1]) != 0))
            i++;
        if (i == n || argument == NULL) {
            char *text = str_format("'%s %s' has no effect in Millrace", application, word);
            complain(c, false, full, text);
            free(text);
            continue;
        }
        size_t len = strlen(argument);
        if (len > 1 && argument[0] == '"' && argument[len - 1] == '"') {
            argument[len - 1] = '\0';
            argument++;
        }
        set(c, full, known[i][2], strcmp(argument, "[]") == 0 ? "none" : argument);
    }
    free(all);
}

static void apply_refused(struct config *c)
{
    char full[NAME_ROOM];
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (find(refused[i].name, "", full) == NULL)
            continue;
        char *text = str_format("set %s in the configuration instead", refused[i].instead);
        complain(c, true, full, text);
        free(text);
    }
    const char *advanced = find("ADVANCED_CONFIG_FILE", "", full);
    if (advanced != NULL && access(advanced, F_OK) == 0)
        complain(c, true, full,
                 "Millrace reads no Erlang terms: say what is in that file with keys of rabbitmq.conf instead");
}

void environment_apply(struct config *c)
{
    apply_plain(c);
    apply_listener(c);
    apply_logs(c);
    apply_levels(c);
    apply_watermark(c);
    apply_erlang(c);
    apply_refused(c);
}

/* ---- The file. */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    if (len > 1 && (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0]) {
        text[len - 1] = '\0';
        text++;
    }
    return text;
}

static void load_line(char *line)
{
    char full[NAME_ROOM];
    char *name = trim(line), *equals = strchr(name, '=');
    if (*name == '#' || equals == NULL)
        return;
    *equals = '\0';
    name = trim(name);
    if (strncmp(name, "export ", sizeof "export " - 1) == 0)
        name = trim(name + sizeof "export " - 1);
    bool has_prefix = false;
    for (unsigned i = 0; i < PREFIXES; i++)
        has_prefix |= strncmp(name, prefixes[i], strlen(prefixes[i])) == 0;
    snprintf(full, sizeof full, "%s%s", has_prefix ? "" : "RABBITMQ_", name);
    setenv(full, trim(equals + 1), 0);
}

void environment_load(struct config *c)
{
    char full[NAME_ROOM], line[LINE_ROOM];
    const char *named = find("CONF_ENV_FILE", "", full);
    FILE *f = named != NULL ? fopen(named, "re") : fopen("/etc/millrace/millrace-env.conf", "re");
    if (f == NULL && named == NULL)
        f = fopen("/etc/rabbitmq/rabbitmq-env.conf", "re");
    if (f == NULL) {
        if (named != NULL)
            complain(c, true, full, "that file cannot be read");
        return;
    }
    while (fgets(line, sizeof line, f) != NULL)
        load_line(line);
    explicit_bzero(line, sizeof line);
    fclose(f);
}
// NOLINTEND(concurrency-mt-unsafe)
