/* The command line: options before, between and behind the words, in the forms that rabbitmqctl takes.
 *
 * "--name VALUE", "--name=VALUE", "-n VALUE", "-n=VALUE"; flags of one letter may be joined ("-qs"); "--flag=false"
 * takes a flag back; "--" ends them.  A word that begins with "-" is never a value unless it is a number or "-" itself,
 * so that a value which was forgotten is noticed.
 */
#ifndef BROKER_CTL_OPTIONS_H
#define BROKER_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_value { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER };

enum option {
#define OPTION(id, name, letter, value, of) OPTION_##id,
#include "broker/ctl/options.def"
#undef OPTION
    OPTION_COUNT_OF_THEM
};

enum { OPTIONS_WORDS_MAX = 4096 };

struct options {
    const char *values[OPTION_COUNT_OF_THEM]; /* borrowed; NULL: not given; flags are "" */
    const char *words[OPTIONS_WORDS_MAX];     /* borrowed; the first is the command */
    size_t n_words;
    const char *wrong;       /* borrowed: the option that cannot be, as it was given, or NULL */
    const char *wrong_value; /* borrowed: with this value, or NULL */
};

/* Reads all; false: `wrong` says what is wrong.  argv stays with the caller, and must live as long as o. */
bool options_read(struct options *o, int argc, char **argv);

bool options_has(const struct options *o, enum option id);

/* The value, or what is there instead. */
const char *options_text(const struct options *o, enum option id, const char *otherwise);
double options_number(const struct options *o, enum option id, double otherwise);

const char *options_name(enum option id);
char options_letter(enum option id);            /* 0: it has none */
const char *options_value_name(enum option id); /* NULL: a flag */

/* True: every command takes it. */
bool options_is_common(enum option id);

/* True: a whole decimal number, with a fraction perhaps. */
bool options_is_number(const char *s);
#endif
