#define _GNU_SOURCE
/* What the process was started with, and what it speaks TLS with: for whoever looks for what is wrong. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/json.h"
#include "broker/admin/request.h"
#include "broker/admin/state.h"
#include "broker/net/tls.h"

enum { COMMAND_LINE_MAX = 64 << 10, VARIABLES_MAX = 1000 };

/* Words as the system knows them: what was wiped at the start is wiped here. */
static json_t *command_line(void)
{
    char *text = alloc_zeroed(COMMAND_LINE_MAX);
    json_t *words = json_array();
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, COMMAND_LINE_MAX - 1) : 0;
    if (fd >= 0)
        close(fd);
    for (const char *at = text; n > 0 && at < text + n; at += strlen(at) + 1)
        if (*at != '\0') /* zeros stand where a secret stood */
            json_add(words, json_of_text(bytes_of_string(at)));
    free(text);
    return words;
}

/* By its name; and Erlang's arguments have cookies and passwords among them. */
static bool is_secret_name(struct bytes name)
{
    static const char *const parts[] = {"PASS", "SECRET", "COOKIE", "TOKEN", "KEY", "CRED", "ARGS"};
    static const char file[] = "FILE";
    const size_t len = sizeof file - 1;
    if (name.len >= len && memcmp(name.at + name.len - len, file, len) == 0)
        return false; /* it says where the secret is */
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (memmem(name.at, name.len, parts[i], strlen(parts[i])) != NULL)
            return true;
    return false;
}

/* A URI with somebody's login in it. */
static bool is_secret_value(const char *value)
{
    const char *login = strstr(value, "://");
    return login != NULL && strchr(login, '@') != NULL;
}

/* Variables that mean something to a broker; secrets by name alone. */
static json_t *environment(void)
{
    static const char *const begin[] = {"RABBITMQ_", "MILLRACE_"};
    json_t *all = json_object();
    for (unsigned i = 0; environ != NULL && environ[i] != NULL && i < VARIABLES_MAX; i++) {
        const char *equals = strchr(environ[i], '=');
        if (equals == NULL || (strncmp(environ[i], begin[0], strlen(begin[0])) != 0 &&
                               strncmp(environ[i], begin[1], strlen(begin[1])) != 0))
            continue;
        struct bytes name = bytes_of(environ[i], (size_t)(equals - environ[i]));
        bool is_secret = is_secret_name(name) || is_secret_value(equals + 1);
        json_t *key = json_of_text(name); /* which need not be UTF-8 as it stands */
        json_set(all, json_string_value(key),
                 is_secret ? json_string("********") : json_of_text(bytes_of_string(equals + 1)));
        json_decref(key);
    }
    return all;
}

void process_get(struct request *r)
{
    json_t *o = json_object();
    json_set(o, "command_line", command_line());
    json_set(o, "environment", environment());
    request_reply(r, HTTP_STATUS_OK, o);
}

static json_t *shape_certificate(struct tls_facts *facts, const char *protocol)
{
    json_t *o = json_object();
    json_set(o, "protocol", json_string(protocol));
    json_set(o, "file", json_of_text(bytes_of_string(facts->certfile)));
    json_set(o, "subject", json_of_text(bytes_of_string(facts->subject)));
    json_set(o, "issuer", json_of_text(bytes_of_string(facts->issuer)));
    json_set(o, "validity", json_of_text(bytes_of_string(facts->validity)));
    free(facts->subject);
    free(facts->issuer);
    free(facts->validity);
    return o;
}

/* Those in use, which are not those of the files if these have changed and nobody has said so. */
void process_certificates(struct request *r)
{
    const struct admin_config *config = request_config(r);
    struct tls_facts facts;
    json_t *all = json_array();
    if (config->certificate != NULL && config->certificate(config->arg, &facts))
        json_add(all, shape_certificate(&facts, "amqp/ssl"));
    for (unsigned i = 0; i < r->admin->n_tls; i++) {
        tls_describe(r->admin->tls[i], &facts);
        json_add(all, shape_certificate(&facts, "https"));
    }
    request_reply(r, HTTP_STATUS_OK, all);
}

static void on_suite(void *arg, const char *name, const char *standard_name, const char *version)
{
    json_t *o = json_object();
    json_set(o, "name", json_string(name));
    json_set(o, "standard_name", json_string(standard_name));
    json_set(o, "version", json_string(version));
    json_add(arg, o);
}

void process_suites(struct request *r)
{
    json_t *o = json_object(), *all = json_array(), *by_default = json_array();
    tls_each_suite(false, on_suite, by_default);
    tls_each_suite(true, on_suite, all);
    json_set(o, "default", by_default);
    json_set(o, "all", all);
    request_reply(r, HTTP_STATUS_OK, o);
}
