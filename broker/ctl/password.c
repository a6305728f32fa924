#define _GNU_SOURCE
#include "broker/ctl/password.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/ctl/ctl.h"

void password_free(char *password)
{
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    free(password);
}

static const char none[] = "not enough arguments.", too_long[] = "the password is too long.";

/* A line of standard input without its end, byte by byte: nothing of it stays in stdio's buffer.  Otherwise
 * why there is no password. */
static const char *read_line(char *to, size_t room)
{
    size_t n = 0;
    char c;
    ssize_t got;
    while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
        if (n + 1 == room)
            return too_long;
        if (c == '\0')
            return "a password has no zero bytes.";
        to[n++] = c;
    }
    if (n > 0 && to[n - 1] == '\r')
        n--;
    to[n] = '\0';
    return n > 0 || got == 1 ? NULL : none;
}

/* As read_line(), while the terminal, if it is one, does not show it.  It cannot be interrupted meanwhile: the
 * terminal would stay like that. */
static const char *read_hidden(char *to, size_t room)
{
    struct termios before, hidden;
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (!is_terminal)
        return read_line(to, room);
    sigset_t blocked, old;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTSTP);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &old); // NOLINT(concurrency-mt-unsafe): one thread
    hidden = before;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    hidden.c_lflag |= ECHONL;
    fputs("Password: ", stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    const char *wrong = read_line(to, room);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    sigprocmask(SIG_SETMASK, &old, NULL); // NOLINT(concurrency-mt-unsafe)
    return wrong;
}

char *password_read(struct ctl *c, size_t word, int *status)
{
    char *password = alloc_zeroed(PASSWORD_BYTES_MAX + 1);
    const char *wrong = NULL;
    if (word >= c->n_args)
        wrong = read_hidden(password, PASSWORD_BYTES_MAX + 1);
    else if (strlen(c->args[word]) <= PASSWORD_BYTES_MAX)
        memcpy(password, c->args[word], strlen(c->args[word]) + 1);
    else
        wrong = too_long;
    if (wrong == NULL && !output_is_utf8(password))
        wrong = "the password is not UTF-8.";
    if (wrong == NULL)
        return password;
    password_free(password);
    *status = ctl_misused(c, wrong == none ? EX_USAGE : EX_DATAERR, "%s", wrong);
    return NULL;
}
