#include "broker/config_keys.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
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

const char *config_key_suggest(const char *name)
{
    const char *best = NULL;
    size_t least = strlen(name) / 3 + 1;
    for (size_t i = 0; i < config_keys_count; i++) {
        size_t d = str_distance(name, config_keys[i].name);
        if (d < least) {
            least = d;
            best = config_keys[i].name;
        }
    }
    return best;
}
