/* What the broker's process was started with, and what it speaks TLS with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"
#include "broker/ctl/node.h"

/* GET of an object or a list of ours; 0, or it has said what is wrong.  For answer_fini() in any case. */
static int ask(struct ctl *c, const char *what, struct answer *a)
{
    int status = ctl_call(c, "GET", path_of("millrace", what), NULL, a);
    if (status == 0 && ctl_is_unknown(a))
        return ctl_fail(c, EX_UNAVAILABLE, "this broker does not tell that");
    return status != 0 ? status : ctl_refused(c, a);
}

static void print_line(const char *text)
{
    output_text(stdout, text);
    putchar('\n');
}

int process_environment(struct ctl *c)
{
    struct answer a;
    int status = ask(c, "process", &a);
    json_t *variables = json_object_get(a.json, "environment"), *value;
    const char *name;
    if (status == 0 && c->format == FORMAT_JSON)
        ctl_print_json(c, json_pack("{s:s, s:s, s:O?}", "node", c->node, "result", "ok", "variables", variables));
    else if (status == 0)
        json_object_foreach(variables, name, value)
        {
            output_text(stdout, name);
            putchar('=');
            print_line(ctl_string(variables, name));
        }
    answer_fini(&a);
    return status;
}

int process_command_line(struct ctl *c)
{
    struct answer a;
    int status = ask(c, "process", &a);
    json_t *words = json_object_get(a.json, "command_line"), *word;
    size_t i;
    if (status == 0 && c->format == FORMAT_JSON)
        output_json(stdout, words);
    else if (status == 0)
        json_array_foreach(words, i, word)
        {
            print_line(json_string_value(word) != NULL ? json_string_value(word) : "");
        }
    answer_fini(&a);
    return status;
}

int process_suites(struct ctl *c)
{
    const char *format = options_text(c->options, OPTION_FORMAT, "openssl");
    const bool is_openssl = strcmp(format, "openssl") == 0;
    if (!is_openssl && strcmp(format, "iana") != 0)
        return ctl_misused(c, EX_DATAERR, "Bad argument: Format should be either openssl or iana");
    if (is_openssl)
        ctl_say(c, "Listing available cipher suites in OpenSSL format");
    else
        ctl_say(c, "Listing available cipher suites in IANA format");
    struct answer a;
    int status = ask(c, "cipher-suites", &a);
    json_t *suites = json_object_get(a.json, options_has(c->options, OPTION_ALL) ? "all" : "default"), *suite,
           *names = json_array();
    size_t i;
    json_array_foreach(suites, i, suite)
    {
        json_array_append_new(names, json_string(ctl_string(suite, is_openssl ? "name" : "standard_name")));
    }
    if (status == 0 && c->format == FORMAT_JSON)
        output_json(stdout, names);
    else if (status == 0)
        json_array_foreach(names, i, suite)
        {
            print_line(json_string_value(suite));
        }
    json_decref(names);
    answer_fini(&a);
    return status;
}

int process_tls_versions(struct ctl *c)
{
    if (c->format == FORMAT_JSON)
        return ctl_print_json(c, json_pack("{s:[s, s]}", "versions", "tlsv1.3", "tlsv1.2"));
    puts("tlsv1.3\ntlsv1.2");
    return 0;
}

int process_certificates(struct ctl *c)
{
    struct answer a;
    int status = ask(c, "certificates", &a);
    size_t i;
    json_t *one;
    if (status == 0 && c->format == FORMAT_JSON)
        output_json(stdout, a.json);
    else if (status == 0 && json_array_size(a.json) == 0)
        puts("(none)");
    else if (status == 0)
        json_array_foreach(a.json, i, one)
        {
            static const char *const lines[][2] = {{"Protocol", "protocol"},
                                                   {"File", "file"},
                                                   {"Subject", "subject"},
                                                   {"Issuer", "issuer"},
                                                   {"Validity", "validity"}};
            if (i > 0)
                putchar('\n');
            for (size_t k = 0; k < sizeof lines / sizeof lines[0]; k++) {
                printf("%s: ", lines[k][0]);
                print_line(ctl_string(one, lines[k][1]));
            }
        }
    answer_fini(&a);
    return status;
}

/* --- logins, which the API has by the node's own name */

int process_logins(struct ctl *c)
{
    static const char *const columns[] = {"protocol", "auth_attempts", "auth_attempts_failed",
                                          "auth_attempts_succeeded"};
    enum { N_COLUMNS = sizeof columns / sizeof columns[0] };
    struct column made[N_COLUMNS];
    const struct column *shown[N_COLUMNS];
    struct node n;
    struct answer a = {0};
    size_t i;
    for (i = 0; i < N_COLUMNS; i++) {
        made[i] = (struct column){columns[i], NULL, KIND_PLAIN};
        shown[i] = &made[i];
    }
    int status = node_load(c, &n);
    if (status == 0)
        status = ctl_call(c, "GET", path_of("auth", "attempts", ctl_string(n.node, "name")), NULL, &a);
    if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0) {
        json_t *row;
        bool has_headers = !c->is_silent && !options_has(c->options, OPTION_NO_HEADERS);
        struct table *t = table_create(stdout, c->format, has_headers, shown, N_COLUMNS);
        json_array_foreach(a.json, i, row)
        {
            table_row(t, row);
        }
        table_destroy(t);
    }
    answer_fini(&a);
    node_fini(&n);
    return status;
}

int process_forget_logins(struct ctl *c)
{
    struct node n;
    int status = node_load(c, &n);
    if (status == 0)
        status = ctl_do(c, "DELETE", path_of("auth", "attempts", ctl_string(n.node, "name")), NULL);
    node_fini(&n);
    return ctl_done(c, status);
}
