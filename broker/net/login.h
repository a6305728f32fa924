/* Who may log in: for now the default user, from the configuration. */
#ifndef BROKER_NET_LOGIN_H
#define BROKER_NET_LOGIN_H

#include <stdbool.h>

#include "amqp/session.h"
#include "base/bytes.h"

/* What is borrowed lives as long as the rules. */
struct login_rules {
    struct bytes user, password;
    const struct bytes *loopback_users; /* names that may log in only from this machine */
    unsigned n_loopback_users;
};

/* session_config.login, its arg the rules.  Takes the same time whatever is wrong; an empty password never does. */
enum login login_judge(void *login_rules, struct bytes user, struct bytes password, bool from_loopback);

/* session_config.random: unguessable bytes. */
void login_random(void *unused, void *to, size_t n);
#endif
