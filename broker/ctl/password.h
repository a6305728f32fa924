/* Passwords: a word of the command line, or a line of standard input. */
#ifndef BROKER_CTL_PASSWORD_H
#define BROKER_CTL_PASSWORD_H

#include <stddef.h>

struct ctl;

enum { PASSWORD_BYTES_MAX = 8192 };

/* The word of that number, or the first line of standard input, which a terminal does not show.  For password_free();
 * NULL: it has said what is wrong, and *status is set. */
char *password_read(struct ctl *c, size_t word, int *status);

/* Wipes it. */
void password_free(char *password);
#endif
