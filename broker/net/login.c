#include "broker/net/login.h"

#include "base/random.h"
#include "broker/net/password.h"
#include "broker/net/throttle.h"
#include "codec/table.h"

static bool is_right(const struct session_login *l)
{
    if (l->is_external)
        return l->is_user;
    if (l->is_user)
        return password_check(table_find_string(l->arguments, "hashing_algorithm"),
                              table_find_string(l->arguments, "password_hash"), l->password);
    password_waste(l->password);
    return false;
}

static bool is_too_far(const struct login_rules *rules, const struct session_login *l)
{
    bool is_far = false;
    for (unsigned i = 0; i < rules->n_loopback_users; i++)
        is_far |= bytes_equal(l->user, rules->loopback_users[i]) && !l->is_loopback;
    return is_far;
}

static void count(struct login_attempts *a, enum login_protocol protocol, bool is_right)
{
    atomic_fetch_add_explicit(is_right ? &a->succeeded[protocol] : &a->failed[protocol], 1, memory_order_relaxed);
}

void login_forget_attempts(struct login_attempts *a)
{
    for (unsigned i = 0; i < LOGIN_PROTOCOLS; i++) {
        atomic_store(&a->succeeded[i], 0);
        atomic_store(&a->failed[i], 0);
    }
}

enum login login_judge(void *login_rules, const struct session_login *l, uint64_t now_ms, uint64_t *delay_ms)
{
    const struct login_rules *rules = login_rules;
    bool right = is_right(l);
    right &= !is_too_far(rules, l);
    *delay_ms = 0;
    if (rules->throttle != NULL) {
        struct throttle_answer a = throttle_judge(rules->throttle, l->place, l->user, right, now_ms);
        right &= !a.is_refused;
        if (a.is_refused)
            *delay_ms = THROTTLE_MIN_MS;
        else if (a.tell_at_ms > now_ms)
            *delay_ms = a.tell_at_ms - now_ms;
    }
    if (rules->attempts != NULL)
        count(rules->attempts, l->is_http ? LOGIN_HTTP : LOGIN_AMQP, right);
    return right ? LOGIN_OK : LOGIN_REFUSED;
}

bool login_may_log(void *login_rules, struct bytes place, uint64_t now_ms, unsigned *suppressed)
{
    const struct login_rules *rules = login_rules;
    return rules->throttle == NULL || throttle_may_log(rules->throttle, place, now_ms, suppressed);
}

void login_random(void *unused, void *to, size_t n)
{
    (void)unused;
    random_fill(to, n);
}
