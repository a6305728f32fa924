#include "broker/ctl/options.h"

#include <stdlib.h>
#include <string.h>

static const struct known {
    const char *name;
    char letter;
    enum option_value value;
    const char *of;
} known[] = {
#define OPTION(id, name, letter, value, of) [OPTION_##id] = {name, letter, OPTION_##value, of},
#include "broker/ctl/options.def"
#undef OPTION
};

bool options_is_number(const char *s)
{
    char *end = NULL;
    bool is_plain = s[0] != '\0' && strspn(s, "+-.0123456789") == strlen(s);
    if (is_plain)
        strtod(s, &end);
    return is_plain && *end == '\0';
}

static bool is_value(const char *s)
{
    return s != NULL && (s[0] != '-' || s[1] == '\0' || options_is_number(s));
}

static bool refuse(struct options *o, const char *word, const char *value)
{
    o->wrong = word;
    o->wrong_value = value;
    return false;
}

/* Takes value, which may be NULL, for the option; word is how it was given. */
static bool set(struct options *o, enum option id, const char *word, const char *value)
{
    if (known[id].value == OPTION_FLAG) {
        if (value != NULL && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return refuse(o, word, value);
        o->values[id] = value != NULL && value[0] == 'f' ? NULL : "";
        return true;
    }
    if (value == NULL || (known[id].value == OPTION_NUMBER && !options_is_number(value)))
        return refuse(o, word, value);
    o->values[id] = value;
    return true;
}

static enum option find_name(const char *name, size_t len)
{
    unsigned id = 0;
    while (id < OPTION_COUNT_OF_THEM && (strlen(known[id].name) != len || strncmp(known[id].name, name, len) != 0))
        id++;
    return (enum option)id;
}

static enum option find_letter(char letter)
{
    unsigned id = 0;
    while (id < OPTION_COUNT_OF_THEM && known[id].letter != letter)
        id++;
    return (enum option)id;
}

/* "--name" or "--name=value"; *i moves on if the next word is its value. */
static bool read_long(struct options *o, char **argv, int *i)
{
    const char *word = argv[*i], *name = word + 2, *equals = strchr(name, '=');
    enum option id = find_name(name, equals != NULL ? (size_t)(equals - name) : strlen(name));
    if (id == OPTION_COUNT_OF_THEM)
        return refuse(o, word, NULL);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && known[id].value != OPTION_FLAG && is_value(argv[*i + 1]))
        value = argv[++*i];
    return set(o, id, word, value);
}

/* "-n", "-n=value" or "-qs". */
static bool read_letters(struct options *o, char **argv, int *i)
{
    const char *word = argv[*i];
    for (const char *at = word + 1; *at != '\0'; at++) {
        enum option id = find_letter(*at);
        if (id == OPTION_COUNT_OF_THEM)
            return refuse(o, word, NULL);
        if (at[1] == '=')
            return set(o, id, word, at + 2);
        if (known[id].value != OPTION_FLAG) {
            const char *value = at[1] == '\0' && is_value(argv[*i + 1]) ? argv[++*i] : NULL;
            return set(o, id, word, value);
        }
        if (!set(o, id, word, NULL))
            return false;
    }
    return true;
}

bool options_read(struct options *o, int argc, char **argv)
{
    *o = (struct options){0};
    bool is_over = false, is_good = true;
    for (int i = 1; i < argc && is_good; i++) {
        const char *word = argv[i];
        if (is_over || word[0] != '-' || word[1] == '\0') {
            if (o->n_words == OPTIONS_WORDS_MAX)
                return refuse(o, word, NULL);
            o->words[o->n_words++] = word;
        } else if (strcmp(word, "--") == 0) {
            is_over = true;
        } else {
            is_good = word[1] == '-' ? read_long(o, argv, &i) : read_letters(o, argv, &i);
        }
    }
    return is_good;
}

bool options_has(const struct options *o, enum option id)
{
    return o->values[id] != NULL;
}

const char *options_text(const struct options *o, enum option id, const char *otherwise)
{
    return o->values[id] != NULL ? o->values[id] : otherwise;
}

double options_number(const struct options *o, enum option id, double otherwise)
{
    return o->values[id] != NULL ? strtod(o->values[id], NULL) : otherwise;
}

const char *options_name(enum option id)
{
    return known[id].name;
}

char options_letter(enum option id)
{
    return known[id].letter;
}

const char *options_value_name(enum option id)
{
    return known[id].of;
}

bool options_is_common(enum option id)
{
    return id <= OPTION_LAST_COMMON;
}
