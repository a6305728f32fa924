/* The file that says which process the broker is, for those who wait for it (rabbitmqctl wait). */
#ifndef BROKER_PIDFILE_H
#define BROKER_PIDFILE_H

struct pidfile;

/* Writes it, in one piece, in place of an older one; its folder is there already.  NULL: *error is the errno. */
struct pidfile *pidfile_create(const char *path, int *error);

/* Removes it, unless somebody else's number is in it by now; NULL is allowed. */
void pidfile_destroy(struct pidfile *p);
#endif
