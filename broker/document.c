/* document-keys conf|man|markdown <HEAD >DOCUMENT: the sample configuration, the manual page, or docs/configuration.md,
 * with every configuration key in it, as config_keys.def has them.  What comes in goes out, but for the line @KEYS@; in
 * Markdown for what is between two comments.  Part of the build; not installed.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/config_keys.h"

/* The keys and the headings between them, in their order. */
struct line {
    const char *section;
    const struct config_key *key; /* NULL: a heading */
};

#define WORKS(id_, ...) {.key = &config_keys[KEY_##id_]},
#define ALIAS(...)
#define REFUSED(...)
#define LATER(...)
#define NEVER(...)
#define SECTION(title_) {.section = (title_)},
static const struct line lines[] = {
#include "broker/config_keys.def"
};
#undef WORKS
#undef ALIAS
#undef REFUSED
#undef LATER
#undef NEVER

static const struct {
    const char *form, *example;
} types[] = {
    [TYPE_INTEGER] = {"a number", "1"},
    [TYPE_LIMIT] = {"a number, or infinity", "1000"},
    [TYPE_THREADS] = {"a number, or auto", "2"},
    [TYPE_BOOLEAN] = {"true or false", "true"},
    [TYPE_STRING] = {"text", ""},
    [TYPE_SECRET] = {"text that is shown nowhere", ""},
    [TYPE_SIZE] = {"bytes, or a number with a unit (k is 1000, Ki is 1024)", "2GiB"},
    [TYPE_BYTES] = {"bytes, or a number with a unit (k is 1024)", "64k"},
    [TYPE_FRACTION] = {"a fraction, or a number and %", "0.5"},
    [TYPE_DURATION] = {"milliseconds, or numbers with units (1h30m)", "1h"},
    [TYPE_LEVEL] = {"debug, info, notice, warning, error, critical, alert, emergency or none", "info"},
    [TYPE_LISTENER] = {"where to listen", "5672"},
    [TYPE_MODE] = {"octal digits", "0660"},
    [TYPE_NONE] = {"the word none", "none"},
    [TYPE_VERIFY] = {"verify_none or verify_peer", "verify_peer"},
    [TYPE_TLS_VERSION] = {"tlsv1.3 or tlsv1.2", "tlsv1.3"},
    [TYPE_CRL_CHECK] = {"true, false, peer or best_effort", "peer"},
    [TYPE_LOGIN_FROM] = {"distinguished_name, common_name or subject_alternative_name", "common_name"},
    [TYPE_MECHANISM] = {"PLAIN, AMQPLAIN or EXTERNAL", "PLAIN"},
    [TYPE_SAN_TYPE] = {"dns, ip, email, uri or other_name", "dns"},
    [TYPE_QUEUE_TYPE] = {"classic, quorum or stream", "quorum"},
    [TYPE_LOG_FORMAT] = {"plaintext or json", "json"},
    [TYPE_LOG_TIME] = {"rfc3339_space, rfc3339_T, epoch_usecs, epoch_secs or lager_default", "rfc3339_T"},
    [TYPE_APPLY_TO] = {"queues, classic_queues, quorum_queues, streams or all", "queues"},
};
enum { N_TYPES = sizeof types / sizeof types[0] };

static const char *form_of(const struct config_key *k)
{
    return (size_t)k->type < N_TYPES && types[k->type].form != NULL ? types[k->type].form : "text";
}

static const char *example_of(const struct config_key *k)
{
    return (size_t)k->type < N_TYPES && types[k->type].example != NULL ? types[k->type].example : "";
}

static bool has_range(const struct config_key *k)
{
    return (k->type == TYPE_INTEGER || k->type == TYPE_LIMIT || k->type == TYPE_THREADS || k->type == TYPE_BYTES ||
            k->type == TYPE_SIZE) &&
           (k->max != 0 || k->min != 0);
}

/* ", from 0 to 65535". */
static void print_range(const struct config_key *k)
{
    const bool has_end = k->max < UINT32_MAX;
    if (!has_range(k))
        return;
    if (has_end)
        printf(", from %" PRIu64 " to %" PRIu64, k->min, k->max);
    else if (k->min > 0)
        printf(", at least %" PRIu64, k->min);
}

static void print_aliases(const struct config_key *k, const char *before, const char *after)
{
    for (size_t i = 0; i < config_keys_count; i++)
        if (config_keys[i].effect == CONFIG_ALIAS && config_keys[i].id == k->id)
            printf("%s%s%s", before, config_keys[i].name, after);
}

static void print_default(const struct config_key *k)
{
    if (k->fallback == NULL)
        fputs("; no default", stdout);
    else if (k->fallback[0] == '\0')
        fputs("; default: nothing", stdout);
    else
        printf("; default: %s", k->fallback);
}

/* ---- The sample configuration. */

/* "name.*": a word for the star that says what it may be. */
static void print_conf_name(const char *name, enum config_type type)
{
    const char *star = strchr(name, '*');
    if (star == NULL)
        fputs(name, stdout);
    else
        printf("%.*s%s%s", (int)(star - name), name, type == TYPE_LISTENER ? "default" : "NAME", star + 1);
}

/* Comment lines of at most so many columns. */
static void print_conf_comment(const char *text)
{
    enum { COLUMNS = 116 };
    while (strlen(text) > COLUMNS) {
        int end = COLUMNS;
        while (end > 0 && text[end] != ' ')
            end--;
        end = end > 0 ? end : COLUMNS;
        printf("## %.*s\n", end, text);
        text += end + (text[end] == ' ');
    }
    printf("## %s\n", text);
}

static void print_conf_key(const struct config_key *k)
{
    const char *value = k->fallback != NULL ? k->fallback : example_of(k);
    putchar('\n');
    print_conf_comment(k->what);
    printf("## (%s", form_of(k));
    print_range(k);
    print_default(k);
    print_aliases(k, "; also ", "");
    fputs(")\n# ", stdout);
    print_conf_name(k->name, k->type);
    printf(" =%s%s\n", value[0] != '\0' ? " " : "", value);
}

static void print_conf_line(const struct line *l)
{
    if (l->key != NULL)
        print_conf_key(l->key);
    else
        printf("\n\n## ---- %s\n", l->section);
}

static void print_conf(void)
{
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        print_conf_line(&lines[i]);
}

/* ---- The manual page. */

/* Text of a macro's line: what mdoc would take for its own is protected. */
static void print_man_text(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '\\')
            fputs("\\e", stdout);
        else if (*c == '-')
            fputs("\\-", stdout);
        else if ((*c == '.' || *c == '\'') && c == text)
            printf("\\&%c", *c);
        else
            putchar(*c);
}

static void print_man_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (*c == '*')
            fputs("NAME", stdout);
        else
            putchar(*c);
}

static void print_man_key(const struct config_key *k)
{
    fputs(".It Ic ", stdout);
    print_man_name(k->name);
    fputs("\n", stdout);
    print_man_text(k->what);
    printf("\n.br\n(%s", form_of(k));
    print_range(k);
    print_default(k);
    print_aliases(k, "; also ", "");
    puts(")");
}

static void print_man_list(const char *title, const char *text, enum config_effect effect)
{
    printf(".Ss %s\n%s\n.Bl -tag -width Ds\n", title, text);
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (k->effect != effect)
            continue;
        fputs(".It Ic ", stdout);
        print_man_name(k->name);
        putchar('\n');
        if (k->what != NULL) {
            print_man_text(k->what);
            putchar('\n');
        }
    }
    puts(".El");
}

static void print_man(void)
{
    bool is_open = false;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (lines[i].key == NULL) {
            printf("%s.Ss %s\n.Bl -tag -width Ds\n", is_open ? ".El\n" : "", lines[i].section);
            is_open = true;
        } else {
            print_man_key(lines[i].key);
        }
    }
    puts(".El");
    print_man_list("Refused", "These promise what the broker does not do, so it does not start with them.",
                   CONFIG_REFUSED);
    print_man_list("Not in effect yet", "These are read, with a warning.", CONFIG_LATER);
    print_man_list("Without a meaning",
                   "These belong to RabbitMQ's insides or to plugins that the broker has not; they are read, with a "
                   "warning.",
                   CONFIG_NEVER);
}

/* ---- Markdown. */

static const char table_begins[] = "<!-- keys: `make config-table` writes this -->\n",
                  table_ends[] = "<!-- end of keys -->\n";

/* Text in a table's cell. */
static void print_cell(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr("|*<", *c) != NULL)
            putchar('\\');
        putchar(*c);
    }
}

static void print_markdown_key(const struct config_key *k)
{
    printf("| `%s`", k->name);
    print_aliases(k, "<br>also `", "`");
    fputs(" | ", stdout);
    print_cell(k->what);
    printf(" | %s", form_of(k));
    print_range(k);
    fputs(" | ", stdout);
    if (k->fallback != NULL)
        printf("%s%s%s", k->fallback[0] != '\0' ? "`" : "nothing", k->fallback, k->fallback[0] != '\0' ? "`" : "");
    puts(" |");
}

static void print_markdown_list(const char *title, const char *text, enum config_effect effect)
{
    printf("\n### %s\n\n%s\n\n", title, text);
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (k->effect != effect)
            continue;
        printf("- `%s`", k->name);
        if (k->what != NULL) {
            fputs(": ", stdout);
            print_cell(k->what);
        }
        putchar('\n');
    }
}

static void print_markdown(void)
{
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i].key != NULL)
            print_markdown_key(lines[i].key);
        else
            printf("\n### %s\n\n| key | what it says | value | default |\n| --- | --- | --- | --- |\n",
                   lines[i].section);
    print_markdown_list("Refused", "These promise what the broker does not do, so it does not start with them.",
                        CONFIG_REFUSED);
    print_markdown_list("Not in effect yet", "These are read, with a warning.", CONFIG_LATER);
    print_markdown_list(
        "Without a meaning",
        "These belong to RabbitMQ's insides or to plugins that the broker has not; they are read, with a "
        "warning.",
        CONFIG_NEVER);
    putchar('\n');
}

/* ---- */

static void copy(const char *kind)
{
    enum { LINE_BYTES = 16384 };
    char line[LINE_BYTES];
    bool is_table = false;
    while (fgets(line, sizeof line, stdin) != NULL) {
        is_table = is_table && strcmp(line, table_ends) != 0;
        if (strcmp(line, "@KEYS@\n") == 0)
            (strcmp(kind, "conf") == 0 ? print_conf : print_man)();
        else if (!is_table)
            fputs(line, stdout);
        if (strcmp(kind, "markdown") == 0 && strcmp(line, table_begins) == 0) {
            is_table = true;
            print_markdown();
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2 ||
        (strcmp(argv[1], "conf") != 0 && strcmp(argv[1], "man") != 0 && strcmp(argv[1], "markdown") != 0)) {
        fputs("Usage: document-keys conf|man|markdown <HEAD >DOCUMENT\n", stderr);
        return 64;
    }
    copy(argv[1]);
    return fflush(stdout) == 0 && ferror(stdin) == 0 ? 0 : 74;
}
