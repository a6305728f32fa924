/* SIGHUP: the configuration is read again.  Levels of the log take effect at once; of everything else that has changed
 * the log says that it needs a restart (reference operations 3.3).
 */
#ifndef BROKER_RELOAD_H
#define BROKER_RELOAD_H

struct arguments;
struct config;

/* now: what is in force.  If something is wrong with what is there, the log says what, and nothing changes. */
void reload_configuration(const struct arguments *a, const struct config *now);
#endif
