#include "broker/net/login.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/check.h"

/* Compares digests, so that the time says nothing about either, length included. */
static bool is_same(struct bytes a, struct bytes b)
{
    uint8_t digest_a[EVP_MAX_MD_SIZE], digest_b[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    CHECK(EVP_Digest(a.at, a.len, digest_a, &n, EVP_sha256(), NULL) == 1);
    CHECK(EVP_Digest(b.at, b.len, digest_b, &n, EVP_sha256(), NULL) == 1);
    return CRYPTO_memcmp(digest_a, digest_b, n) == 0;
}

enum login login_judge(void *login_rules, struct bytes user, struct bytes password, bool from_loopback)
{
    const struct login_rules *rules = login_rules;
    bool is_user = is_same(user, rules->user);
    bool is_password = is_same(password, rules->password);
    bool is_far = false;
    for (unsigned i = 0; i < rules->n_loopback_users; i++)
        is_far |= bytes_equal(user, rules->loopback_users[i]) && !from_loopback;
    return is_user && is_password && !is_far && password.len > 0 ? LOGIN_OK : LOGIN_REFUSED;
}

void login_random(void *unused, void *to, size_t n)
{
    (void)unused;
    CHECK(RAND_bytes(to, (int)n) == 1);
}
