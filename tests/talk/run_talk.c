/* Holds conversations with a broker and says in TAP how they went.
 *
 *     run-talk [--peer host:port] [--trickle] [--trace] [file.talk …]
 *
 * Without --peer, the broker is in this process; --trickle feeds it one byte at a time.  Without files, all of
 * tests/talk in the source tree (srcdir, as Automake sets it).  README.md has the language.
 */
#include <getopt.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/talk/talk.h"

static void print_report(const char *report)
{
    while (*report != '\0') {
        size_t n = strcspn(report, "\n");
        printf("# %.*s\n", (int)n, report);
        report += n + (report[n] == '\n');
    }
}

static bool hold(int number, const char *path, const struct talk_options *options)
{
    char *text = NULL;
    size_t len = 0;
    FILE *report = open_memstream(&text, &len);
    if (report == NULL)
        abort();
    enum talk_result result = talk_hold(path, options, report);
    fclose(report);
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    int n = (int)strcspn(name, ".");
    printf("%s %d - %.*s%s\n", result == TALK_FAILED ? "not ok" : "ok", number, n, name,
           result == TALK_SKIPPED ? " # SKIP meant for another broker" : "");
    print_report(text);
    free(text);
    fflush(stdout);
    return result != TALK_FAILED;
}

static bool read_options(int argc, char **argv, struct talk_options *options)
{
    static const struct option known[] = {{"peer", required_argument, NULL, 'p'},
                                          {"trickle", no_argument, NULL, 'b'},
                                          {"trace", no_argument, NULL, 't'},
                                          {0}};
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) { // NOLINT(concurrency-mt-unsafe)
        char *colon = letter == 'p' ? strrchr(optarg, ':') : NULL;
        if (letter == '?' || (letter == 'p' && colon == NULL))
            return false;
        options->trickle |= letter == 'b';
        options->traces |= letter == 't';
        if (colon != NULL) {
            *colon = '\0';
            options->host = optarg;
            options->port = colon + 1;
        }
    }
    return true;
}

static bool find_all(glob_t *found)
{
    const char *srcdir = getenv("srcdir"); // NOLINT(concurrency-mt-unsafe)
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/tests/talk/*.talk", srcdir == NULL ? "." : srcdir);
    return glob(pattern, 0, NULL, found) == 0; // NOLINT(concurrency-mt-unsafe)
}

int main(int argc, char **argv)
{
    struct talk_options options = {0};
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: %s [--peer host:port] [--trickle] [--trace] [file.talk ...]\n", argv[0]);
        return 2;
    }
    char **files = argv + optind;
    size_t n = (size_t)(argc - optind);
    glob_t found = {0};
    if (n == 0 && find_all(&found)) {
        files = found.gl_pathv;
        n = found.gl_pathc;
    }
    log_set_level(options.traces ? LOG_INFO_LEVEL : LOG_NO_LEVEL);
    int failed = 0;
    printf("1..%zu\n", n);
    for (size_t i = 0; i < n; i++)
        failed += !hold((int)i + 1, files[i], &options);
    globfree(&found);
    return failed > 0 || n == 0;
}
