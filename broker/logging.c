#define _GNU_SOURCE
#include "broker/logging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_file.h"
#include "base/str.h"
#include "broker/config.h"

#define DEFAULT_DIR "/var/log/millrace"
#define DEFAULT_FILE "millrace.log"

static struct log_file *open_file; /* owned: the log is the program's, as base/log.h is */
static char *open_path;            /* owned: its full name */

/* Standard error is the journal's socket, which wants a priority before each line. */
static bool is_journal(void)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread yet
    const char *said = getenv("JOURNAL_STREAM");
    struct stat st;
    if (said == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    char *is = str_format("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    bool same = strcmp(is, said) == 0;
    free(is);
    return same;
}

static void on_category(void *arg, const char *word, const char *value, uint64_t number)
{
    int category = log_category_find(word);
    (void)arg;
    (void)value;
    if (category >= 0)
        log_set_category_level((enum log_category)category, (enum log_level)number);
    else
        log_warning("main", "log.%s.level has no effect: no line here is of that category", word);
}

void logging_set_levels(const struct config *c)
{
    bool has_console = config_number(c, KEY_LOG_CONSOLE) != 0;
    log_set_output_level(LOG_TO_CONSOLE,
                         has_console ? (enum log_level)config_number(c, KEY_LOG_CONSOLE_LEVEL) : LOG_NO_LEVEL);
    log_set_output_level(LOG_TO_FILE,
                         open_file != NULL ? (enum log_level)config_number(c, KEY_LOG_FILE_LEVEL) : LOG_NO_LEVEL);
    for (int i = 0; i < LOG_CATEGORIES; i++)
        log_set_category_level((enum log_category)i, LOG_DEBUG_LEVEL);
    config_each(c, KEY_LOG_CATEGORY_LEVEL, on_category, NULL);
}

bool logging_is_level(enum config_id id)
{
    return id == KEY_LOG_CONSOLE || id == KEY_LOG_CONSOLE_LEVEL || id == KEY_LOG_FILE_LEVEL ||
           id == KEY_LOG_CATEGORY_LEVEL;
}

void logging_begin(const struct config *c, const char *node)
{
    const struct log_style console = {
        .is_json = config_number(c, KEY_LOG_CONSOLE_FORMATTER) != 0,
        .time = (enum log_time)config_number(c, KEY_LOG_CONSOLE_TIME),
        .has_priorities = is_journal(),
        .node = node,
    };
    const struct log_style file = {
        .is_json = config_number(c, KEY_LOG_FILE_FORMATTER) != 0,
        .time = (enum log_time)config_number(c, KEY_LOG_FILE_TIME),
        .node = node,
    };
    log_set_style(LOG_TO_CONSOLE, &console);
    log_set_style(LOG_TO_FILE, &file);
    logging_set_levels(c);
}

/* NULL: there is to be none. */
static char *path_of(const struct config *c)
{
    const char *dir = config_text(c, KEY_LOG_DIR), *name = config_text(c, KEY_LOG_FILE);
    if (name == NULL && dir == NULL)
        return NULL;
    if (name == NULL)
        name = DEFAULT_FILE;
    if (strcmp(name, "false") == 0 || strcmp(name, "none") == 0)
        return NULL;
    if (name[0] == '/')
        return str_format("%s", name);
    return str_format("%s/%s", dir != NULL ? dir : DEFAULT_DIR, name);
}

int logging_open(const struct config *c)
{
    struct log_rotation when = {0};
    const char *date = config_text(c, KEY_LOG_FILE_ROTATION_DATE);
    char *path = path_of(c);
    int error = 0, status = EX_OK;
    if (path == NULL)
        return EX_OK;
    if (date != NULL && !log_rotation_parse(date, &when)) {
        fprintf(stderr, "millraced: log.file.rotation.date: '%s' is none of $D0, $H30, $W0D23, $M1D0\n", date);
        status = EX_CONFIG;
    } else {
        open_file = log_file_create(path, config_number(c, KEY_LOG_FILE_ROTATION_SIZE),
                                    (unsigned)config_number(c, KEY_LOG_FILE_ROTATION_COUNT), &when, &error);
    }
    if (error != 0) {
        fprintf(stderr, "millraced: log.file %s: %s\n", path, strerrordesc_np(-error));
        status = EX_CANTCREAT;
    }
    if (open_file != NULL) {
        log_set_file(open_file);
        logging_set_levels(c);
        log_info("main", "this log goes to %s, too", path);
        open_path = realpath(path, NULL);
    }
    free(path);
    return status;
}

void logging_close(void)
{
    log_set_output_level(LOG_TO_FILE, LOG_NO_LEVEL);
    log_set_file(NULL);
    log_file_destroy(open_file);
    open_file = NULL;
    free(open_path);
    open_path = NULL;
}

const char *logging_file(void)
{
    return open_path;
}
