/* millracectl: asks a broker and tells it what to do.  It goes by rabbitmqctl's words, and by its name too. */
#define _GNU_SOURCE
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/ctl/command.h"
#include "broker/ctl/ctl.h"

/* What was in a JSON text may have been a password. */
static void free_wiped(void *p)
{
    if (p != NULL)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static int complain_of_command(const char *tool, const char *name)
{
    const char *similar = command_suggest(name);
    fprintf(stderr, "\nCommand '");
    output_text(stderr, name);
    fprintf(stderr, "' not found. \n");
    if (similar != NULL)
        fprintf(stderr, "Did you mean '%s'? \n", similar);
    else
        command_print_all(stderr, tool);
    return EX_USAGE;
}

static int complain_of_option(const struct ctl *c, const char *word, const char *value)
{
    return ctl_misused(c, EX_USAGE, "Invalid options for this command:\n%.*s : %s", (int)strcspn(word, "="), word,
                       value != NULL ? value : "");
}

/* A value that no JSON text can hold would be missing from what is sent, which then means something else: to be
 * without a password, without tags. */
static bool is_readable(const struct ctl *c, const struct options *o)
{
    bool is_fine = true;
    for (size_t i = 0; i < c->n_args && !(c->command->flags & (COMMAND_BYTES | COMMAND_OFFLINE)); i++)
        is_fine = is_fine && output_is_utf8(c->args[i]);
    for (unsigned i = 0; i < OPTION_COUNT_OF_THEM; i++) {
        bool is_file = i == OPTION_DATA_DIR || i == OPTION_SOCKET;
        is_fine = is_fine && (is_file || o->values[i] == NULL || output_is_utf8(o->values[i]));
    }
    return is_fine;
}

/* 0, or it has said what is wrong. */
static int check(const struct ctl *c, const struct options *o)
{
    if (o->wrong != NULL)
        return complain_of_option(c, o->wrong, o->wrong_value);
    for (unsigned i = 0; i < OPTION_COUNT_OF_THEM; i++) {
        char *name = str_format("--%s", options_name((enum option)i));
        bool is_wrong = options_has(o, (enum option)i) && !command_takes(c->command, (enum option)i);
        int status = is_wrong ? complain_of_option(c, name, o->values[i]) : 0;
        free(name);
        if (status != 0)
            return status;
    }
    if (c->n_args < c->command->least)
        return ctl_misused(c, EX_USAGE, "not enough arguments.");
    if (c->n_args > c->command->most && c->command->most != COMMAND_WORDS_ANY)
        return ctl_misused(c, EX_USAGE, "too many arguments.");
    if (!is_readable(c, o))
        return ctl_misused(c, EX_DATAERR, "Bad argument: it is not UTF-8");
    return 0;
}

static int run(struct ctl *c, const struct options *o)
{
    if (options_has(o, OPTION_HELP)) {
        command_print_help(stdout, c->tool, c->command);
        return 0;
    }
    int status = check(c, o);
    if (status != 0)
        return status;
    ctl_announce(c);
    if (options_has(o, OPTION_DRY_RUN) && !(c->command->flags & COMMAND_OFFLINE))
        return 0;
    return c->command->run(c);
}

static int begin(const char *tool, struct options *o)
{
    struct ctl c;
    if (o->n_words == 0) {
        bool is_asked = options_has(o, OPTION_HELP);
        command_print_all(is_asked ? stdout : stderr, tool);
        return is_asked ? 0 : EX_USAGE;
    }
    int status = EX_USAGE;
    if (ctl_init(&c, tool, o)) {
        c.command = command_find(tool, o->words[0]);
        status = c.command == NULL ? complain_of_command(tool, o->words[0]) : run(&c, o);
    }
    ctl_fini(&c);
    return status;
}

/* Copies the words, and takes those out of the process's own that should not be seen by other users (ps). */
static char **take_words(int argc, char **argv)
{
    char **words = alloc_array(NULL, (size_t)argc + 1, sizeof words[0]);
    for (int i = 0; i < argc; i++)
        words[i] = str_format("%s", argv[i]);
    words[argc] = NULL;
    return words;
}

static void hide(const char *tool, const struct options *o, char **words, int argc, char **argv)
{
    const struct command *c = o->n_words > 0 ? command_find(tool, o->words[0]) : NULL;
    bool is_secret = c != NULL && (c->flags & COMMAND_SECRET);
    for (int i = 1; i < argc; i++) {
        bool is_word = false;
        for (size_t n = 1; n < o->n_words; n++)
            is_word |= o->words[n] == words[i];
        if ((is_secret && is_word) || o->values[OPTION_PASSWORD] == words[i] ||
            strncmp(words[i], "--password=", 11) == 0)
            explicit_bzero(argv[i], strlen(argv[i]));
    }
}

int main(int argc, char **argv)
{
    static struct options options; /* large */
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *tool = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "millracectl";
    json_set_alloc_funcs(malloc, free_wiped);
    char **words = take_words(argc, argv), *name = str_format("%s", tool);
    options_read(&options, argc, words);
    hide(tool, &options, words, argc, argv);
    int status = begin(name, &options);
    for (int i = 0; i < argc; i++)
        free_wiped(words[i]);
    free(words);
    free(name);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("millracectl: standard output");
    return EX_IOERR;
}
