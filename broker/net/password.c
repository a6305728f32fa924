#define OPENSSL_SUPPRESS_DEPRECATED /* see digest() */
#include "broker/net/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/random.h"

enum {
    SALT_BYTES = 4,
    SALTED_BYTES_MAX = SALT_BYTES + EVP_MAX_MD_SIZE,
    TEXT_ROOM = 4 * ((SALTED_BYTES_MAX + 2) / 3) + 1
};

_Static_assert(TEXT_ROOM == PASSWORD_HASH_TEXT_MAX + 1, "the longest digest is SHA-512's");

struct scheme {
    struct bytes name;
    const EVP_MD *(*digest)(void); /* NULL: SHA-256 */
    size_t bytes;                  /* of the digest */
};

static const struct scheme schemes[] = {
    {{(const uint8_t *)"rabbit_password_hashing_sha256", 30}, NULL, 32}, /* the first is the default */
    {{(const uint8_t *)"rabbit_password_hashing_sha512", 30}, EVP_sha512, 64},
    {{(const uint8_t *)"rabbit_password_hashing_md5", 27}, EVP_md5, 16},
};

/* What a password hash says; all zeros is a hash like any other, which only the caller knows to be none. */
struct salted {
    uint8_t bytes[TEXT_ROOM]; /* salt, digest; the decoder writes up to two bytes of padding behind them */
};

static const struct scheme *find_scheme(struct bytes algorithm)
{
    if (algorithm.len == 0)
        algorithm = schemes[0].name; /* and then compares it, so that both ways to say it take as long */
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (bytes_equal(algorithm, schemes[i].name))
            return &schemes[i];
    return NULL;
}

static size_t salted_bytes(const struct scheme *s)
{
    return SALT_BYTES + s->bytes;
}

static size_t text_bytes(const struct scheme *s)
{
    return 4 * ((salted_bytes(s) + 2) / 3);
}

/* text must have text_bytes().  OpenSSL's decoder forgives spaces, padding in odd places and stray last bits, so a text
 * counts only if it is what the encoder would have written. */
static bool decode(const struct scheme *s, struct bytes text, struct salted *out)
{
    char again[TEXT_ROOM];
    bool is_base64 = EVP_DecodeBlock(out->bytes, text.at, (int)text.len) >= (int)salted_bytes(s);
    EVP_EncodeBlock((unsigned char *)again, out->bytes, (int)salted_bytes(s));
    return (CRYPTO_memcmp(again, text.at, text.len) == 0) & is_base64;
}

/* The function itself.  To ask OpenSSL's providers for it takes 1.8 MB of code and tables into memory, of which a
 * broker without TLS needs nothing else. */
static bool sha256(const uint8_t *salt, struct bytes password, uint8_t *out)
{
    SHA256_CTX context;
    bool is_done = SHA256_Init(&context) == 1 && SHA256_Update(&context, salt, SALT_BYTES) == 1 &&
                   SHA256_Update(&context, password.at, password.len) == 1 && SHA256_Final(out, &context) == 1;
    OPENSSL_cleanse(&context, sizeof context);
    return is_done;
}

/* False: this OpenSSL does not have that digest (FIPS has no MD5). */
static bool digest(const struct scheme *s, const uint8_t *salt, struct bytes password, uint8_t out[EVP_MAX_MD_SIZE])
{
    if (s->digest == NULL)
        return sha256(salt, password, out);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context != NULL);
    bool is_done =
        EVP_DigestInit_ex(context, s->digest(), NULL) == 1 && EVP_DigestUpdate(context, salt, SALT_BYTES) == 1 &&
        EVP_DigestUpdate(context, password.at, password.len) == 1 && EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    return is_done;
}

/* One path for everyone: what is missing is replaced by something as long, and the verdicts are gathered without
 * branching on them. */
bool password_check(struct bytes algorithm, struct bytes hash, struct bytes password)
{
    static const uint8_t nothing[] =
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    _Static_assert(sizeof nothing > PASSWORD_HASH_TEXT_MAX, "as long as any");
    const struct scheme *s = find_scheme(algorithm);
    bool may = s != NULL && password.len > 0 && password.len <= PASSWORD_BYTES_MAX;
    if (s == NULL)
        s = &schemes[0];
    if (password.len > PASSWORD_BYTES_MAX)
        password.len = PASSWORD_BYTES_MAX;
    bool is_long_enough = hash.len == text_bytes(s);
    struct bytes text = is_long_enough ? hash : bytes_of(nothing, text_bytes(s));

    struct salted salted = {0};
    uint8_t wanted[EVP_MAX_MD_SIZE] = {0};
    may &= decode(s, text, &salted) & is_long_enough;
    may &= digest(s, salted.bytes, password, wanted);
    may &= CRYPTO_memcmp(salted.bytes + SALT_BYTES, wanted, s->bytes) == 0;
    OPENSSL_cleanse(wanted, sizeof wanted);
    OPENSSL_cleanse(&salted, sizeof salted);
    return may;
}

void password_waste(struct bytes password)
{
    (void)password_check(schemes[0].name, BYTES(""), password);
}

bool password_is_hash(struct bytes algorithm, struct bytes hash)
{
    const struct scheme *s = find_scheme(algorithm);
    struct salted salted = {0};
    if (s == NULL)
        return false;
    return hash.len == 0 || (hash.len == text_bytes(s) && decode(s, hash, &salted));
}

char *password_make_hash(struct bytes algorithm, struct bytes password)
{
    const struct scheme *s = find_scheme(algorithm);
    if (s == NULL || password.len == 0 || password.len > PASSWORD_BYTES_MAX)
        return NULL;
    struct salted salted = {0};
    random_fill(salted.bytes, SALT_BYTES);
    if (!digest(s, salted.bytes, password, salted.bytes + SALT_BYTES))
        return NULL;
    char *text = alloc(text_bytes(s) + 1);
    EVP_EncodeBlock((unsigned char *)text, salted.bytes, (int)salted_bytes(s));
    OPENSSL_cleanse(&salted, sizeof salted);
    return text;
}
