#include "broker/config_keys.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

const struct config_key config_keys[] = {
#define WORKS(id_, name_, type_, default_, min_, max_, what_)                                                          \
    {.name = (name_),                                                                                                  \
     .effect = CONFIG_WORKS,                                                                                           \
     .type = TYPE_##type_,                                                                                             \
     .id = KEY_##id_,                                                                                                  \
     .fallback = (default_),                                                                                           \
     .min = (min_),                                                                                                    \
     .max = (max_),                                                                                                    \
     .what = (what_)},
#define ALIAS(...)
#define REFUSED(...)
#define LATER(...)
#define NEVER(...)
#include "broker/config_keys.def"
#undef WORKS
#undef ALIAS
#undef REFUSED
#undef LATER
#undef NEVER
#define WORKS(...)
#define ALIAS(name_, id_) {.name = (name_), .effect = CONFIG_ALIAS, .id = KEY_##id_},
#define REFUSED(name_, harmless_, why_)                                                                                \
    {.name = (name_), .effect = CONFIG_REFUSED, .type = TYPE_ANY, .fallback = (harmless_), .what = (why_)},
#define LATER(name_) {.name = (name_), .effect = CONFIG_LATER, .type = TYPE_ANY},
#define NEVER(name_) {.name = (name_), .effect = CONFIG_NEVER, .type = TYPE_ANY},
#include "broker/config_keys.def"
#undef WORKS
#undef ALIAS
#undef REFUSED
#undef LATER
#undef NEVER
};

const size_t config_keys_count = sizeof config_keys / sizeof config_keys[0];

/* Where the word at at ends: at a dot that no backslash protects, or at the end. */
static const char *word_end(const char *at)
{
    for (; *at != '\0' && *at != '.'; at++)
        if (at[0] == '\\' && at[1] != '\0')
            at++;
    return at;
}

static bool name_fits(const char *pattern, const char *name)
{
    for (;;) {
        const char *pattern_end = word_end(pattern), *name_end = word_end(name);
        size_t len = (size_t)(pattern_end - pattern);
        if (strcmp(pattern, "**") == 0)
            return name_end != name;
        bool is_any = len == 1 && *pattern == '*' && name_end != name;
        if (!is_any && (len != (size_t)(name_end - name) || memcmp(pattern, name, len) != 0))
            return false;
        if (*pattern_end == '\0' || *name_end == '\0')
            return *pattern_end == *name_end;
        pattern = pattern_end + 1;
        name = name_end + 1;
    }
}

const struct config_key *config_key_find(const char *name)
{
    for (size_t i = 0; i < config_keys_count; i++)
        if (name_fits(config_keys[i].name, name))
            return config_keys[i].effect == CONFIG_ALIAS ? &config_keys[config_keys[i].id] : &config_keys[i];
    return NULL;
}

enum { SUGGEST_MAX = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* How many letters must be changed, added or left out to make b of a. */
static size_t distance(const char *a, const char *b)
{
    size_t row[SUGGEST_MAX + 1], len_a = strlen(a), len_b = strlen(b);
    if (len_a > SUGGEST_MAX || len_b > SUGGEST_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= len_b; k++)
        row[k] = k;
    for (size_t i = 1; i <= len_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= len_b; k++) {
            size_t above = row[k];
            row[k] = smallest(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
            diagonal = above;
        }
    }
    return row[len_b];
}

const char *config_key_suggest(const char *name)
{
    const char *best = NULL;
    size_t least = strlen(name) / 3 + 1;
    for (size_t i = 0; i < config_keys_count; i++) {
        size_t d = distance(name, config_keys[i].name);
        if (d < least) {
            least = d;
            best = config_keys[i].name;
        }
    }
    return best;
}
