/* Holds conversations with a broker and says in TAP how they went.
 *
 *     run-talk [--peer host:port] [--trickle] [--trace] file.talk …
 *
 * Without --peer, the broker is in this process; --trickle feeds it one byte at a time.  README.md has the language.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "talk.h"

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

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"peer", required_argument, NULL, 'p'},
                                                 {"trickle", no_argument, NULL, 'b'},
                                                 {"trace", no_argument, NULL, 't'},
                                                 {0}};
    struct talk_options options = {0};
    int letter, failed = 0;
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        char *colon = letter == 'p' ? strrchr(optarg, ':') : NULL;
        if (letter == '?' || (letter == 'p' && colon == NULL)) {
            fprintf(stderr, "usage: %s [--peer host:port] [--trickle] [--trace] file.talk ...\n", argv[0]);
            return 2;
        }
        options.trickle |= letter == 'b';
        options.traces |= letter == 't';
        if (colon != NULL) {
            *colon = '\0';
            options.host = optarg;
            options.port = colon + 1;
        }
    }
    log_set_level(options.traces ? LOG_INFO_LEVEL : LOG_NO_LEVEL);
    printf("1..%d\n", argc - optind);
    for (int i = optind; i < argc; i++)
        failed += !hold(i - optind + 1, argv[i], &options);
    return failed > 0;
}
