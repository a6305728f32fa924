/* Reads an input as a response of every mechanism, and as a password hash of every algorithm.  What a login takes from
 * a response lies within it; what is no hash opens to nobody. */
#include <stdlib.h>

#include "amqp/sasl.h"
#include "amqp/session.h"
#include "base/check.h"
#include "broker/net/password.h"
#include "tests/fuzz/fuzz.h"

enum { OFFERED = SASL_PLAIN | SASL_AMQPLAIN | SASL_EXTERNAL };

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

static void check_response(struct bytes mechanism, struct bytes response)
{
    struct bytes user, password;
    enum sasl_verdict v = sasl_read(OFFERED, mechanism, response, &user, &password);
    CHECK(v != SASL_UNKNOWN);
    check_within(user, response);
    check_within(password, response);
    if (v != SASL_OK)
        return;
    CHECK(password.len > 0);
    CHECK(mechanism.at[0] != 'P' || user.len + password.len + 2 == response.len);
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
    check_response(BYTES("PLAIN"), b);
    check_response(BYTES("AMQPLAIN"), b);
    if (!bytes_equal(b, BYTES("PLAIN")) && !bytes_equal(b, BYTES("AMQPLAIN")) && !bytes_equal(b, BYTES("EXTERNAL")))
        CHECK(sasl_read(OFFERED, b, b, &user, &password) == SASL_UNKNOWN);
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        check_hash(bytes_of_string(algorithms[i]), b);
    return 0;
}
