/* SIGHUP: the configuration is read again.  Levels of the log take effect at once, and so do limits of connections,
 * memory, disk and time for acknowledgements; of everything else that has changed the log says that it needs a restart
 * (reference operations 3.3).
 */
#ifndef BROKER_RELOAD_H
#define BROKER_RELOAD_H

struct arguments;
struct config;

/* now: what the broker was started with.  apply is called with what counts from now on.  If something is wrong with
 * what is there, the log says what, nothing changes, and apply is not called. */
typedef void reload_apply_fn(void *arg, const struct config *c);
void reload_configuration(const struct arguments *a, const struct config *now, reload_apply_fn *apply, void *arg);
#endif
