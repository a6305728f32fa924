/* What a session leaves in the audit log (base/audit.h): who came, who did not get in, what was made and taken away,
 * what was refused (reliability C31).  Costs a branch while that is off. */
#ifndef AMQP_TRAIL_H
#define AMQP_TRAIL_H

#include <stdbool.h>

struct event;
struct session;

/* A login was judged.  untold: how many of that address were refused before, and left no line. */
void trail_login(const struct session *s, const char *mechanism, const char *claimed);
void trail_refused_login(const struct session *s, const char *mechanism, const char *claimed, const char *why,
                         unsigned untold);

/* A virtual host was opened, or was not. */
void trail_open(const struct session *s, bool is_ok, const char *why);
void trail_close(const struct session *s);

/* A command about the topology was carried out; a command was refused for want of rights.  Others leave no trail. */
void trail_done(const struct session *s, const struct event *e);
void trail_failed(const struct session *s, const struct event *e);
#endif
