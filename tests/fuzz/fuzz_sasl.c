/* Reads an input as a response of every mechanism, and as a password hash of every algorithm.  What a login takes from
 * a response lies within it; what is no hash opens to nobody. */
#include <stdlib.h>

#include "amqp/sasl.h"
#include "amqp/session.h"
#include "base/check.h"
#include "broker/net/password.h"
#include "tests/fuzz/fuzz.h"

static const char *const algorithms[] = {"", "rabbit_password_hashing_sha256", "rabbit_password_hashing_sha512",
                                         "rabbit_password_hashing_md5"};

static void check_within(struct bytes part, struct bytes whole)
{
    CHECK(part.len <= whole.len);
    CHECK(part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len));
}

/* A user with that password gets in with it, and with nothing less. */
static void check_login(struct bytes password)
{
    char *hash = password_make_hash(BYTES(""), password);
    CHECK((hash != NULL) == (password.len <= PASSWORD_BYTES_MAX));
    if (hash == NULL)
        return;
    CHECK(password_is_hash(BYTES(""), bytes_of_string(hash)));
    CHECK(password_check(BYTES(""), bytes_of_string(hash), password));
    CHECK(!password_check(BYTES(""), bytes_of_string(hash), bytes_of(password.at, password.len - 1)));
    free(hash);
}

static void check_response(enum session_mechanism which, struct bytes mechanism, struct bytes response)
{
    enum { ALL = SASL_PLAIN | SASL_AMQPLAIN | SASL_EXTERNAL };
    struct bytes user, password;
    CHECK(sasl_read(ALL & ~which, mechanism, response, &user, &password) == SASL_UNKNOWN);
    CHECK(user.len == 0 && password.len == 0);
    enum sasl_verdict v = sasl_read(which, mechanism, response, &user, &password);
    CHECK(v != SASL_UNKNOWN);
    check_within(user, response);
    check_within(password, response);
    CHECK(which != SASL_EXTERNAL || (v == SASL_OK && user.len == 0 && password.len == 0));
    if (v != SASL_OK || which == SASL_EXTERNAL)
        return;
    CHECK(password.len > 0);
    CHECK(which != SASL_PLAIN || user.len + password.len + 2 == response.len);
    check_login(password);
}

static void check_hash(struct bytes algorithm, struct bytes hash)
{
    bool is_hash = password_is_hash(algorithm, hash);
    CHECK(!is_hash || hash.len == 0 || hash.len == 48 || hash.len == 92 || hash.len == 28);
    bool is_right = password_check(algorithm, hash, BYTES("test12"));
    CHECK(!is_right || (is_hash && hash.len > 0));
    CHECK(!password_check(algorithm, hash, BYTES("")));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes b = bytes_of(at, len), user, password;
    check_response(SASL_PLAIN, BYTES("PLAIN"), b);
    check_response(SASL_AMQPLAIN, BYTES("AMQPLAIN"), b);
    check_response(SASL_EXTERNAL, BYTES("EXTERNAL"), b);
    unsigned named = sasl_find(b);
    CHECK((sasl_read(named, b, b, &user, &password) == SASL_UNKNOWN) == (named == 0));
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        check_hash(bytes_of_string(algorithms[i]), b);
    return 0;
}
