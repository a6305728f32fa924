#define _GNU_SOURCE
#include "broker/config_parse.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

enum { ORIGIN_MAX = 1024, SHOWN_MAX = 40 };

struct parser {
    const char *name;
    char *at; /* where it is in the text, which is terminated and its own */
    unsigned line;
    const struct config_sink *sink;
    char origin[ORIGIN_MAX]; /* of the current line */
};

__attribute__((format(printf, 3, 4))) static void complain(struct parser *p, bool is_error, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->sink->complaint(p->sink->arg, p->origin, is_error, text);
}

static void begin_line(struct parser *p)
{
    p->line++;
    snprintf(p->origin, sizeof p->origin, "%s:%u", p->name, p->line);
}

/* Takes a line off the front, without its end; NULL at the end of the text. */
static char *take_line(struct parser *p)
{
    if (*p->at == '\0')
        return NULL;
    char *line = p->at;
    size_t len = strcspn(line, "\n");
    p->at = line[len] == '\n' ? line + len + 1 : line + len;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return line;
}

static char *skip_space(char *s)
{
    return s + strspn(s, " \t");
}

static void trim_end(char *s)
{
    size_t n = strlen(s);
    while (n > 0 && isspace((unsigned char)s[n - 1]))
        s[--n] = '\0';
}

static bool is_key_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || c == '\\';
}

/* Any value may be a secret: none is left behind. */
static void value_free(char *value)
{
    str_wipe(value);
    free(value);
}

/* Replaces every $(NAME) by what the environment has for it.  NULL: it has nothing, and that was said. */
static char *interpolate(struct parser *p, const char *value)
{
    char *done = str_format("%s", "");
    for (const char *open; (open = strstr(value, "$(")) != NULL;) {
        const char *close = strchr(open, ')');
        if (close == NULL)
            break;
        char *name = str_format("%.*s", (int)(close - open - 2), open + 2);
        const char *found = getenv(name); // NOLINT(concurrency-mt-unsafe): threads come later
        if (found == NULL) {
            complain(p, true, "the environment has no %s", name);
            free(name);
            value_free(done);
            return NULL;
        }
        char *more = str_format("%s%.*s%s", done, (int)(open - value), value, found);
        free(name);
        value_free(done);
        done = more;
        value = close + 1;
    }
    char *all = str_format("%s%s", done, value);
    value_free(done);
    return all;
}

/* The value between three quotes, which may go on for lines; NULL: it has no end. */
static char *take_multiline(struct parser *p, char *from)
{
    char *value = str_format("%s", "");
    for (char *line = from; line != NULL; p->line++, line = take_line(p)) {
        char *end = strstr(line, "'''");
        char *more = str_format("%s%.*s%s", value, (int)(end != NULL ? (size_t)(end - line) : strlen(line)), line,
                                end != NULL ? "" : "\n");
        value_free(value);
        value = more;
        if (end != NULL)
            return value;
    }
    value_free(value);
    complain(p, true, "no ''' ends what begins here");
    return NULL;
}

/* The value that begins at s, which the caller frees; NULL: there is none, and that was said. */
static char *take_value(struct parser *p, char *s)
{
    if (strncmp(s, "'''", 3) == 0)
        return take_multiline(p, s + 3);
    char *end = *s == '\'' ? strchr(s + 1, '\'') : NULL;
    if (end != NULL) {
        char *rest = skip_space(end + 1);
        if (*rest == '\0' || *rest == '#')
            return str_format("%.*s", (int)(end - s - 1), s + 1);
    }
    char *comment = strchr(s, '#');
    if (comment != NULL) {
        if (comment > s && !isspace((unsigned char)comment[-1]))
            complain(p, false, "the value ends at '#'; put it in single quotes if '#' belongs to it");
        *comment = '\0';
    }
    trim_end(s);
    return str_format("%s", s);
}

static void take_setting(struct parser *p, const char *begin, char *key)
{
    char *key_end = key;
    while (is_key_char(*key_end))
        key_end++;
    char *equals = skip_space(key_end);
    if (key_end == key || *equals != '=') {
        size_t column = (size_t)(key_end == key ? key - begin : equals - begin) + 1;
        char *full = str_format("%s:%zu", p->origin, column), *text;
        if (key_end == key)
            text = str_format("expected 'key = value', found \"%.*s\"", SHOWN_MAX, key);
        else /* what stands there instead may be a password */
            text = str_format("expected '=' behind '%.*s'", (int)(key_end - key), key);
        p->sink->complaint(p->sink->arg, full, true, text);
        free(text);
        free(full);
        return;
    }
    char *name = str_format("%.*s", (int)(key_end - key), key), *written = take_value(p, skip_space(equals + 1));
    char *value = written == NULL ? NULL : interpolate(p, written);
    if (value != NULL && strncmp(value, "encrypted:", 10) == 0)
        complain(p, true, "%s: encrypted values are not supported; use file:PATH where a password belongs", name);
    else if (value != NULL && strncmp(name, "RABBITMQ_", 9) == 0)
        complain(p, true, "%s is an environment variable, not a configuration key", name);
    else if (value != NULL)
        p->sink->setting(p->sink->arg, p->origin, name, value);
    value_free(value);
    value_free(written);
    free(name);
}

static void take_include(struct parser *p, char *path)
{
    char *value = take_value(p, path);
    if (value != NULL)
        p->sink->include(p->sink->arg, p->origin, value);
    free(value);
}

static void take_statement(struct parser *p, char *line)
{
    char *s = skip_space(line);
    if (*s == '\0' || *s == '#')
        return;
    if (strncmp(s, "include", 7) == 0 && (s[7] == ' ' || s[7] == '\t') && *skip_space(s + 7) != '=')
        take_include(p, skip_space(s + 7));
    else
        take_setting(p, line, s);
}

/* True if the text is no configuration at all, which was said then. */
static bool is_something_else(struct parser *p, struct bytes text)
{
    snprintf(p->origin, sizeof p->origin, "%s:1", p->name);
    if (text.len >= 2 && ((text.at[0] == 0xff && text.at[1] == 0xfe) || (text.at[0] == 0xfe && text.at[1] == 0xff))) {
        complain(p, true, "this is UTF-16; save it as UTF-8");
        return true;
    }
    if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL) {
        complain(p, true, "this is not text");
        return true;
    }
    const char *first = p->at + strspn(p->at, " \t\r\n");
    if (*first == '[' || *first == '%') {
        complain(p, true, "these are Erlang terms (advanced.config); Millrace reads 'key = value' lines only");
        return true;
    }
    return false;
}

void config_parse(const char *name, struct bytes text, const struct config_sink *sink)
{
    if (bytes_start_with(text, BYTES("\xef\xbb\xbf")))
        text = bytes_of(text.at + 3, text.len - 3);
    char *copy = alloc(text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    struct parser p = {.name = name, .at = copy, .sink = sink};
    if (!is_something_else(&p, text)) {
        for (char *line; begin_line(&p), (line = take_line(&p)) != NULL;)
            take_statement(&p, line);
    }
    explicit_bzero(copy, text.len);
    free(copy);
}
