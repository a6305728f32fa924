/* Who may log in: judges passwords by what the model knows of a user, and slows down who guesses (throttle.h). */
#ifndef BROKER_NET_LOGIN_H
#define BROKER_NET_LOGIN_H

#include <stdatomic.h>

#include "amqp/session.h"
#include "base/bytes.h"

struct throttle;

/* How often somebody has tried to log in, and how: whoever judges counts, any thread reads. */
enum login_protocol { LOGIN_AMQP, LOGIN_HTTP, LOGIN_PROTOCOLS };

struct login_attempts {
    atomic_ullong succeeded[LOGIN_PROTOCOLS], failed[LOGIN_PROTOCOLS];
};

/* Counting begins anew. */
void login_forget_attempts(struct login_attempts *a);

/* What is borrowed lives as long as the rules. */
struct login_rules {
    const struct bytes *loopback_users; /* names that may log in only from this machine */
    unsigned n_loopback_users;
    struct throttle *throttle;       /* borrowed; NULL: nobody is slowed down */
    struct login_attempts *attempts; /* borrowed; NULL: nobody counts them */
};

/* session_config.login, its arg the rules.  Any thread.  Takes the same time whatever is wrong; an empty password never
 * does, and of a user without a hash none. */
enum login login_judge(void *login_rules, const struct session_login *l, uint64_t now_ms, uint64_t *delay_ms);

/* session_config.may_log, likewise. */
bool login_may_log(void *login_rules, struct bytes place, uint64_t now_ms, unsigned *suppressed);

/* session_config.random: unguessable bytes. */
void login_random(void *unused, void *to, size_t n);
#endif
