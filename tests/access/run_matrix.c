/* The authorisation matrix (reliability R48): every method that a client may send, with every set of rights, on every
 * kind of resource.  methods.def says what must come of it; a conversation is made of each cell and held with the
 * broker in this process, or with one behind a socket.
 *
 *     run-matrix [--peer host:port --vhost name] [--print] [--trace]
 *
 * A peer must have the virtual host and the users already, and be RabbitMQ 3.10: tests/access/peer does that.  --print
 * shows the conversations.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "codec/method.h"
#include "tests/access/matrix.h"
#include "tests/talk/talk.h"

enum { CELLS_MIN = 400 /* R48 */ };

static const struct row rows[] = {
#define NEEDS(class, method, what, a, b, says, answer, ...)                                                            \
    {METHOD_##class##_##method, what, {a, b}, says, answer, false, {__VA_ARGS__}},
#define FREE(class, method, why, lines) {METHOD_##class##_##method, why, {NONE, NONE}, lines, NULL, false, {{0}}},
#define RAW(class, method, why, lines) {METHOD_##class##_##method, why, {NONE, NONE}, lines, NULL, true, {{0}}},
#include "tests/access/methods.def"
};

enum { ROWS = sizeof rows / sizeof rows[0] };

struct run {
    struct talk_options options;
    bool prints;
    unsigned n, failed, cells; /* TAP lines, those that are not ok; cells of the matrix */
};

static void say(struct run *r, bool ok, const char *method, const char *what)
{
    printf("%s %u - %s%s%s\n", ok ? "ok" : "not ok", ++r->n, method, *what != '\0' ? ", " : "", what);
    r->failed += !ok;
    fflush(stdout);
}

static void print_report(const char *report)
{
    while (*report != '\0') {
        size_t n = strcspn(report, "\n");
        printf("# %.*s\n", (int)n, report);
        report += n + (report[n] == '\n');
    }
}

/* Holds the conversation of a cell. */
static bool hold(struct run *r, const struct cell *c)
{
    char *text = NULL, *report = NULL;
    size_t len = 0, report_len = 0;
    FILE *to = open_memstream(&text, &len), *says = open_memstream(&report, &report_len);
    matrix_write(to, c);
    fclose(to);
    if (r->prints)
        fputs(text, stdout);
    FILE *in = fmemopen(text, len, "r");
    enum talk_result result = talk_hold_from(in, "cell", &r->options, says);
    fclose(in);
    fclose(says);
    if (result != TALK_OK) {
        print_report(text);
        print_report(result == TALK_SKIPPED ? "left out" : report);
    }
    free(text);
    free(report);
    r->cells++;
    return result == TALK_OK;
}

static bool hold_rights(struct run *r, struct cell *c)
{
    bool ok = true;
    for (c->rights = 0; c->rights < RIGHTS_SETS && ok; c->rights++)
        ok = hold(r, c);
    return ok;
}

/* All cells of a row: every kind of the one resource with every kind of the other; with a peer, which is slower, at
 * most one of them is not one's own. */
static bool hold_row(struct run *r, const struct row *row)
{
    bool ok = true;
    struct cell c = {.row = row, .is_peer = r->options.host != NULL, .vhost = r->options.vhost};
    for (unsigned i = 0; matrix_kind(row->slots[A], i) != NULL && ok; i++)
        for (unsigned j = 0; matrix_kind(row->slots[B], j) != NULL && ok; j++) {
            c.kinds[A] = matrix_kind(row->slots[A], i);
            c.kinds[B] = matrix_kind(row->slots[B], j);
            if (!c.is_peer || i == 0 || j == 0)
                ok = hold_rights(r, &c);
        }
    return ok;
}

/* Every method has a row. */
static bool all_are_there(void)
{
    const struct method_info *info;
    bool ok = true;
    for (unsigned i = 0; (info = method_at(i)) != NULL; i++) {
        bool found = (info->flags & FROM_CLIENT) == 0;
        for (unsigned k = 0; k < ROWS; k++)
            found |= rows[k].method == info->id;
        if (!found)
            printf("# %s: no row says which rights it needs\n", info->name);
        ok &= found;
    }
    return ok;
}

/* No row is about a method that only the server may send. */
static bool none_is_odd(void)
{
    bool ok = true;
    for (unsigned k = 0; k < ROWS; k++)
        ok &= (method_find(rows[k].method)->flags & FROM_CLIENT) != 0;
    return ok;
}

static bool read_options(int argc, char **argv, struct run *r)
{
    static const struct option known[] = {{"peer", required_argument, NULL, 'p'},
                                          {"vhost", required_argument, NULL, 'v'},
                                          {"print", no_argument, NULL, 'w'},
                                          {"trace", no_argument, NULL, 't'},
                                          {0}};
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) { // NOLINT(concurrency-mt-unsafe)
        char *colon = letter == 'p' ? strrchr(optarg, ':') : NULL;
        if (letter == '?' || (letter == 'p' && colon == NULL))
            return false;
        r->prints |= letter == 'w';
        r->options.traces |= letter == 't';
        if (letter == 'v')
            r->options.vhost = optarg;
        if (colon != NULL) {
            *colon = '\0';
            r->options.host = optarg;
            r->options.port = colon + 1;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct run r = {.options = {.vhost = "/"}};
    if (!read_options(argc, argv, &r)) {
        fprintf(stderr, "usage: %s [--peer host:port --vhost name] [--print] [--trace]\n", argv[0]);
        return 2;
    }
    log_set_level(LOG_NO_LEVEL);
    printf("1..%u\n", ROWS + 3);
    say(&r, all_are_there(), "every method", "has a row");
    say(&r, none_is_odd(), "every row", "is of a method that clients send");
    for (unsigned k = 0; k < ROWS; k++)
        say(&r, hold_row(&r, &rows[k]), method_find(rows[k].method)->name, rows[k].what);
    printf("# %u cells\n", r.cells);
    say(&r, r.cells >= CELLS_MIN, "there are enough cells", "");
    return r.failed > 0;
}
