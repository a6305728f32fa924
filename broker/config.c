#define _GNU_SOURCE
#include "broker/config.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/config_parse.h"
#include "broker/config_value.h"

struct setting {
    const struct config_key *key;
    char *name;   /* owned: as written */
    char *text;   /* owned: the value */
    char *origin; /* owned */
    struct config_value value;
};

struct config {
    struct setting *settings; /* owned: each name once */
    size_t n, capacity;
    struct config_complaint *complaints; /* owned */
    size_t n_complaints, complaints_capacity;
    unsigned includes;  /* files read so far */
    const char **files; /* owned, and the names */
    size_t n_files;
    struct setting defaults[CONFIG_IDS];
};

struct config *config_create(void)
{
    struct config *c = alloc_zeroed(sizeof *c);
    for (size_t i = 0; i < CONFIG_IDS; i++) {
        const struct config_key *key = &config_keys[i];
        c->defaults[i].key = key;
        if (key->fallback != NULL) {
            char unused[128];
            config_value_parse(key, key->fallback, &c->defaults[i].value, unused, sizeof unused);
        }
    }
    return c;
}

static void setting_fini(struct setting *s)
{
    if (s->key->type == TYPE_SECRET)
        str_wipe(s->text);
    free(s->name);
    free(s->text);
    free(s->origin);
}

void config_destroy(struct config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++)
        setting_fini(&c->settings[i]);
    for (size_t i = 0; i < c->n_complaints; i++)
        free(c->complaints[i].text);
    for (size_t i = 0; i < c->n_files; i++)
        free((char *)(uintptr_t)c->files[i]);
    free((void *)c->files);
    free(c->settings);
    free(c->complaints);
    free(c);
}

/* ---- Complaints. */

/* Takes over text. */
static void complain(struct config *c, const char *origin, bool is_error, char *text)
{
    if (c->n_complaints == c->complaints_capacity) {
        c->complaints_capacity = alloc_grown(c->complaints_capacity, c->n_complaints + 1);
        c->complaints = alloc_array(c->complaints, c->complaints_capacity, sizeof *c->complaints);
    }
    c->complaints[c->n_complaints++] =
        (struct config_complaint){.is_error = is_error, .text = str_format("%s: %s", origin, text)};
    free(text);
}

const struct config_complaint *config_complaints(const struct config *c, size_t *n)
{
    *n = c->n_complaints;
    return c->complaints;
}

size_t config_errors(const struct config *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_complaints; i++)
        n += c->complaints[i].is_error;
    return n;
}

/* ---- Settings. */

static struct setting *find_by_name(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->settings[i].name, name) == 0)
            return &c->settings[i];
    return NULL;
}

/* The file that an origin is in: all before the last colon. */
static bool is_same_file(const char *a, const char *b)
{
    const char *colon_a = strrchr(a, ':'), *colon_b = strrchr(b, ':');
    return colon_a != NULL && colon_b != NULL && colon_a - a == colon_b - b &&
           strncmp(a, b, (size_t)(colon_a - a)) == 0;
}

/* Takes over text. */
static void keep(struct config *c, const struct config_key *key, const char *name, char *text, const char *origin)
{
    struct setting *s = find_by_name(c, name);
    if (s != NULL) {
        if (is_same_file(s->origin, origin))
            complain(c, origin, false, str_format("'%s' replaces what %s says", name, s->origin));
        setting_fini(s);
    } else {
        if (c->n == c->capacity) {
            c->capacity = alloc_grown(c->capacity, c->n + 1);
            c->settings = alloc_array(c->settings, c->capacity, sizeof *c->settings);
        }
        s = &c->settings[c->n++];
    }
    *s = (struct setting){.key = key, .name = str_format("%s", name), .text = text, .origin = str_format("%s", origin)};
    char unused[128];
    config_value_parse(key, text, &s->value, unused, sizeof unused);
}

/* The first line of the file that "file:PATH" names, or a copy of what else value is.  NULL: it was complained about.
 */
static char *resolve_secret(struct config *c, const char *origin, const char *name, const char *value)
{
    if (strncmp(value, "file:", 5) != 0)
        return str_format("%s", value);
    errno = 0;
    FILE *f = fopen(value + 5, "re");
    char line[2048];
    if (f != NULL)
        setvbuf(f, NULL, _IONBF, 0); /* no buffer that would keep it */
    if (f == NULL || fgets(line, sizeof line, f) == NULL) {
        complain(c, origin, true,
                 str_format("%s: cannot read %s: %s (as user id %u)", name, value + 5,
                            errno != 0 ? strerrordesc_np(errno) : "it is empty", (unsigned)geteuid()));
        if (f != NULL)
            fclose(f);
        return NULL;
    }
    fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    char *secret = str_format("%s", line);
    explicit_bzero(line, sizeof line);
    return secret;
}

static void take_working(struct config *c, const struct config_key *key, const char *origin, const char *name,
                         const char *value)
{
    char expected[192];
    struct config_value parsed;
    bool is_plain = strchr(key->name, '*') == NULL;
    char *text = key->type == TYPE_SECRET ? resolve_secret(c, origin, name, value) : str_format("%s", value);
    if (text == NULL)
        return;
    if (!config_value_parse(key, text, &parsed, expected, sizeof expected)) {
        complain(c, origin, true,
                 str_format("%s: expected %s, got \"%s\"", name, expected, key->type == TYPE_SECRET ? "…" : text));
        if (key->type == TYPE_SECRET)
            str_wipe(text);
        free(text);
    } else if (key->id == KEY_FRAME_MAX && parsed.number > 0 && parsed.number < 4096) {
        complain(c, origin, true, str_format("%s: expected 0 or at least 4096, got \"%s\"", name, text));
        free(text);
    } else {
        keep(c, key, is_plain ? key->name : name, text, origin);
    }
}

/* One of the words with | between them. */
static bool is_harmless(const struct config_key *key, const char *value)
{
    size_t len = strlen(value);
    for (const char *at = key->fallback; at != NULL; at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL)
        if (len > 0 && strcspn(at, "|") == len && strncmp(at, value, len) == 0)
            return true;
    return false;
}

static void on_setting(void *arg, const char *origin, const char *name, const char *value)
{
    struct config *c = arg;
    const struct config_key *key = config_key_find(name);
    if (key == NULL) {
        const char *like = config_key_suggest(name);
        complain(c, origin, true,
                 like == NULL ? str_format("unknown key '%s'", name)
                              : str_format("unknown key '%s' (did you mean '%s'?)", name, like));
        return;
    }
    switch (key->effect) {
    case CONFIG_WORKS:
        take_working(c, key, origin, name, value);
        return;
    case CONFIG_REFUSED:
        if (!is_harmless(key, value))
            complain(c, origin, true, str_format("%s: %s", name, key->what));
        return;
    case CONFIG_LATER:
        complain(c, origin, false, str_format("'%s' has no effect yet", name));
        return;
    case CONFIG_NEVER:
        complain(c, origin, false, str_format("'%s' has no effect in Millrace", name));
        return;
    case CONFIG_ALIAS: /* config_key_find() answers what it stands for */
        return;
    }
}

void config_set(struct config *c, const char *setting, unsigned number)
{
    char origin[32];
    snprintf(origin, sizeof origin, "--set:%u", number);
    const char *equals = strchr(setting, '=');
    if (equals == NULL || equals == setting) {
        complain(c, origin, true, str_format("expected 'key=value', found \"%s\"", setting));
        return;
    }
    char *name = str_format("%.*s", (int)(equals - setting), setting);
    on_setting(c, origin, name, equals + 1);
    free(name);
}

void config_set_from(struct config *c, const char *origin, const char *key, const char *value)
{
    on_setting(c, origin, key, value);
}

void config_complain(struct config *c, const char *origin, bool is_error, const char *text)
{
    complain(c, origin, is_error, str_format("%s", text));
}

void config_suggest(struct config *c, enum config_id id, const char *value, const char *origin)
{
    if (!config_is_set(c, id))
        keep(c, &config_keys[id], config_keys[id].name, str_format("%s", value), origin);
}

/* ---- Files. */

static void on_complaint(void *arg, const char *origin, bool is_error, const char *text)
{
    complain(arg, origin, is_error, str_format("%s", text));
}

static void on_include(void *arg, const char *origin, const char *path)
{
    struct config *c = arg;
    if (++c->includes > CONFIG_INCLUDES_MAX) {
        complain(c, origin, true, str_format("more than %d files: does one include itself?", CONFIG_INCLUDES_MAX));
        return;
    }
    char *full = NULL;
    if (path[0] != '/' && strrchr(origin, '/') != NULL)
        full = str_format("%.*s/%s", (int)(strrchr(origin, '/') - origin), origin, path);
    glob_t found;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): threads come later
    int status = glob(full != NULL ? full : path, GLOB_NOMAGIC, NULL, &found);
    if (status != 0 && status != GLOB_NOMATCH)
        complain(c, origin, true, str_format("cannot include %s", path));
    for (size_t i = 0; status == 0 && i < found.gl_pathc; i++)
        config_read_file(c, found.gl_pathv[i]);
    if (status == 0)
        globfree(&found);
    free(full);
}

void config_read_text(struct config *c, const char *name, struct bytes text)
{
    const struct config_sink sink = {.setting = on_setting, .include = on_include, .complaint = on_complaint, .arg = c};
    config_parse(name, text, &sink);
}

static void note_file(struct config *c, const char *path)
{
    char *full = realpath(path, NULL);
    c->files = alloc_array((void *)c->files, c->n_files + 1, sizeof *c->files);
    c->files[c->n_files++] = str_copy(bytes_of_string(full != NULL ? full : path));
    free(full);
}

const char *const *config_files(const struct config *c, size_t *n)
{
    *n = c->n_files;
    return c->files;
}

void config_read_file(struct config *c, const char *path)
{
    errno = 0;
    FILE *f = fopen(path, "re");
    char *text = alloc(CONFIG_FILE_BYTES_MAX + 1);
    if (f != NULL)
        setvbuf(f, NULL, _IONBF, 0); /* no buffer that would keep passwords */
    size_t n = f != NULL ? fread(text, 1, CONFIG_FILE_BYTES_MAX + 1, f) : 0;
    if (f == NULL || ferror(f) != 0)
        complain(c, path, true,
                 str_format("cannot be read: %s (as user id %u)", strerrordesc_np(errno), (unsigned)geteuid()));
    else if (n > CONFIG_FILE_BYTES_MAX)
        complain(c, path, true, str_format("is larger than %d bytes", CONFIG_FILE_BYTES_MAX));
    else {
        note_file(c, path);
        config_read_text(c, path, bytes_of(text, n));
    }
    if (f != NULL)
        fclose(f);
    explicit_bzero(text, n);
    free(text);
}

void config_forget_secret(struct config *c, enum config_id id)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->settings[i].key == &config_keys[id])
            str_wipe(c->settings[i].text);
}

/* ---- Answers. */

static const struct setting *setting_of(const struct config *c, enum config_id id)
{
    const struct setting *s = find_by_name(c, config_keys[id].name);
    return s != NULL ? s : &c->defaults[id];
}

uint64_t config_number(const struct config *c, enum config_id id)
{
    return setting_of(c, id)->value.number;
}

double config_fraction(const struct config *c, enum config_id id)
{
    return setting_of(c, id)->value.fraction;
}

const char *config_text(const struct config *c, enum config_id id)
{
    const struct setting *s = setting_of(c, id);
    return s->text != NULL ? s->text : config_keys[id].fallback;
}

bool config_is_set(const struct config *c, enum config_id id)
{
    return setting_of(c, id) != &c->defaults[id];
}

static int by_name(const void *a, const void *b)
{
    const struct setting *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* All settings, sorted by name; the caller frees the array. */
static const struct setting **sorted(const struct config *c)
{
    const struct setting **all = alloc_array(NULL, c->n + 1, sizeof(struct setting *));
    for (size_t i = 0; i < c->n; i++)
        all[i] = &c->settings[i];
    qsort((void *)all, c->n, sizeof(struct setting *), by_name);
    return all;
}

void config_each(const struct config *c, enum config_id id, config_each_fn *each, void *arg)
{
    const struct setting **all = sorted(c);
    for (size_t i = 0; i < c->n; i++) {
        const struct config_key *key = all[i]->key;
        const char *star = strchr(key->name, '*');
        if (key->id != id || star == NULL)
            continue;
        /* What is before the star and behind it is the same in both. */
        size_t before = (size_t)(star - key->name), behind = strlen(star + 1), len = strlen(all[i]->name);
        char *word = str_copy(bytes_of(all[i]->name + before, len - before - behind));
        each(arg, word, all[i]->text, all[i]->value.number);
        free(word);
    }
    free((void *)all);
}

/* What setting has in the other configuration another value, or none. */
static void each_missing(const struct config *from, const struct config *in, bool with_others, config_change_fn *each,
                         void *arg)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct setting *s = &from->settings[i], *other = find_by_name(in, s->name);
        bool is_other = other == NULL ? s->key->fallback == NULL || strcmp(s->text, s->key->fallback) != 0
                                      : with_others && strcmp(s->text, other->text) != 0;
        if (is_other && s->key->type != TYPE_SECRET)
            each(arg, s->key, s->name);
    }
}

void config_each_change(const struct config *before, const struct config *after, config_change_fn *each, void *arg)
{
    each_missing(after, before, true, each, arg);
    each_missing(before, after, false, each, arg);
}

void config_print(const struct config *c, FILE *to)
{
    const struct setting **all = sorted(c);
    for (size_t i = 0; i < CONFIG_IDS; i++) {
        const struct config_key *key = &config_keys[i];
        if (strchr(key->name, '*') == NULL && !config_is_set(c, key->id) && key->fallback != NULL)
            fprintf(to, "%s = %s  # default\n", key->name, key->type == TYPE_SECRET ? "…" : key->fallback);
        for (size_t k = 0; k < c->n; k++)
            if (all[k]->key == key)
                fprintf(to, "%s = %s  # %s\n", all[k]->name, key->type == TYPE_SECRET ? "…" : all[k]->text,
                        all[k]->origin);
    }
    free((void *)all);
}
