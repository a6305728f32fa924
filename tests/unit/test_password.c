#include "broker/net/password.h"

#include <stdio.h>

#include "base/alloc.h"
#include "tests/unit/unit.h"

#define SHA256 "rabbit_password_hashing_sha256"
#define SHA512 "rabbit_password_hashing_sha512"
#define MD5 "rabbit_password_hashing_md5"

/* Written by RabbitMQ 3.10.8 (the first sha256 one is in its documentation); the password is in UTF-8. */
static const struct vector {
    const char *algorithm, *password, *hash;
} vectors[] = {
    {SHA256, "test12", "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"},
    {SHA256, "guest", "kI3GCrswBLNZQzHJJ95QLoyfAVooYhnvf7jbqiW9BjOYUloe"},
    {SHA256, "p\xc3\xa4ss w\xc3\xb6rd", "kI3GCq71gpTWmuVJaCFz5DknHmKUlRJIQJ0Pi57TlRpv+zG1"},
    {SHA512, "test12", "kI3GChuNuIYf8lRbCCxZjgjKwsY19ns6+uFO0zcXRBGA/XGJPYD8OWMy7EB8TaOmAzjP2azv84GbINYwX2cDWb4DHnc="},
    {SHA512, "guest", "kI3GCrf65LdSkFyP8BVa8fB/67dDZ7ljrRF4WEjLDwWuHFxFQjgE88vc4EqLc8+dW4j5onKsGl4Ty32Icokl1iJrRxk="},
    {SHA512, "p\xc3\xa4ss w\xc3\xb6rd",
     "kI3GCsag9D2EicBd++AsvVmDQ96cbCRAfB8ZfEAoYUcFR3KP2KBf/o8vFHgENYKV28K9diV5cqJjXgRVQ7yL1K0kBRY="},
    {MD5, "test12", "kI3GChNpte2FApYFXScl+0dIluk="},
    {MD5, "guest", "kI3GCsLphS59YDqYemSoxQGij64="},
    {MD5, "p\xc3\xa4ss w\xc3\xb6rd", "kI3GConabyp5tgA1h3ngo6xsl+s="},
};

#define EACH_VECTOR(v) for (const struct vector *v = vectors; v < vectors + sizeof vectors / sizeof vectors[0]; v++)

static const char *const algorithms[] = {"", SHA256, SHA512, MD5};

#define EACH_ALGORITHM(a) for (const char *const *a = algorithms; a < algorithms + 4; a++)

static bool check(const char *algorithm, const char *hash, const char *password)
{
    return password_check(bytes_of_string(algorithm), bytes_of_string(hash), bytes_of_string(password));
}

static bool is_hash(const char *algorithm, const char *hash)
{
    return password_is_hash(bytes_of_string(algorithm), bytes_of_string(hash));
}

static char *make_hash(const char *algorithm, const char *password)
{
    return password_make_hash(bytes_of_string(algorithm), bytes_of_string(password));
}

TEST(what_rabbitmq_wrote_matches_its_password_and_no_other)
{
    EACH_VECTOR(v)
    EACH_VECTOR(other)
    {
        assert_int_equal(check(v->algorithm, v->hash, other->password), strcmp(v->password, other->password) == 0);
        assert_true(is_hash(v->algorithm, v->hash));
    }
}

TEST(the_default_is_sha256)
{
    assert_true(check("", vectors[0].hash, vectors[0].password));
    assert_false(check("", vectors[3].hash, vectors[3].password));
}

TEST(a_hash_is_of_its_algorithm_only)
{
    EACH_VECTOR(v)
    EACH_ALGORITHM(a)
    {
        bool is_its = strcmp(v->algorithm, **a == '\0' ? SHA256 : *a) == 0;
        assert_int_equal(check(*a, v->hash, v->password), is_its);
        assert_int_equal(is_hash(*a, v->hash), is_its);
    }
}

TEST(nothing_but_the_very_password_matches)
{
    static const char *const wrong[] = {"", "test1", "test12 ", " test12", "Test12", "test13", "uest12", "kI3GCqW5"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(check(SHA256, vectors[0].hash, wrong[i]));
    assert_false(password_check(BYTES(SHA256), bytes_of_string(vectors[0].hash), BYTES("test12\0")));
    assert_false(password_check(BYTES(SHA256), bytes_of_string(vectors[0].hash), BYTES("test12\0test12")));
}

TEST(every_bit_of_a_hash_counts)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    EACH_VECTOR(v)
    {
        for (size_t i = 0; v->hash[i] != '\0'; i++) {
            char *changed = (char *)alloc_copy(v->hash, strlen(v->hash) + 1);
            for (const char *d = digits; *d != '\0'; d++) {
                changed[i] = *d;
                assert_int_equal(check(v->algorithm, changed, v->password), *d == v->hash[i]);
            }
            free(changed);
        }
    }
}

/* The hash of an empty password, which must not open either. */
TEST(an_empty_password_never_matches)
{
    static const char of_nothing[] = "kI3GCrTX798KLXnBt/mFM97t8TbDJzaewEU/2YfqeB4xLGFr";
    assert_false(check(SHA256, "", ""));
    assert_false(check(SHA256, of_nothing, ""));
    EACH_ALGORITHM(a)
    {
        assert_null(make_hash(*a, ""));
        assert_false(check(*a, "", ""));
    }
    assert_false(password_check(BYTES(SHA256), BYTES(""), (struct bytes){0}));
}

TEST(an_empty_hash_is_one_that_nobody_matches)
{
    EACH_ALGORITHM(a)
    {
        assert_true(is_hash(*a, ""));
        assert_false(check(*a, "", "test12"));
        assert_false(password_check(bytes_of_string(*a), (struct bytes){0}, BYTES("test12")));
    }
}

TEST(an_unknown_algorithm_never_matches)
{
    static const char *const unknown[] = {"sha256", "RABBIT_PASSWORD_HASHING_SHA256", SHA256 " ", "lavinmq_bcrypt",
                                          "rabbit_password_hashing_sha25"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_false(check(unknown[i], vectors[0].hash, "test12"));
        assert_false(is_hash(unknown[i], vectors[0].hash));
        assert_false(is_hash(unknown[i], ""));
        assert_null(make_hash(unknown[i], "test12"));
    }
    assert_false(password_check(BYTES(SHA256 "\0"), bytes_of_string(vectors[0].hash), BYTES("test12")));
}

TEST(a_hash_written_in_any_other_way_is_none)
{
    static const char *const wrong[] = {
        "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PO",      /* short */
        "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PORAAAA", /* long */
        "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30-P6tENUV2POR",     /* another alphabet */
        "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PO ",     "    kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV",
        "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PO=",     "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2P==",
        "kI3GCqW5JLMJa4iX1lo7X4D6\nbYqlLgxIs30+P6tENUV2POR",    "====kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV",
        "kI3GCqW5JLMJa4iX====X4D6XbYqlLgxIs30+P6tENUV2POR",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(is_hash(SHA256, wrong[i]));
        assert_false(check(SHA256, wrong[i], "test12"));
    }
    assert_false(password_is_hash(BYTES(SHA256), BYTES("kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30\0P6tENUV2POR")));
    assert_false(is_hash(MD5, "kI3GChNpte2FApYFXScl+0dIluk"));  /* no padding */
    assert_false(is_hash(MD5, "kI3GChNpte2FApYFXScl+0dIlul=")); /* stray last bits */
    assert_false(check(MD5, "kI3GChNpte2FApYFXScl+0dIlul=", "test12"));
}

TEST(what_is_made_matches_and_has_a_salt_of_its_own)
{
    EACH_ALGORITHM(a)
    {
        char *one = make_hash(*a, "correct horse"), *two = make_hash(*a, "correct horse");
        assert_true(is_hash(*a, one));
        assert_true(check(*a, one, "correct horse"));
        assert_true(check(*a, two, "correct horse"));
        assert_false(check(*a, one, "correct hors"));
        assert_memory_not_equal(one, two, 5);
        free(one);
        free(two);
    }
}

TEST(zeros_and_bytes_that_are_no_text_count)
{
    char *hash = password_make_hash(BYTES(""), BYTES("a\0\xff"));
    assert_true(password_check(BYTES(""), bytes_of_string(hash), BYTES("a\0\xff")));
    assert_false(password_check(BYTES(""), bytes_of_string(hash), BYTES("a\0\xfe")));
    assert_false(check("", hash, "a"));
    free(hash);
}

TEST(a_password_has_a_limit)
{
    uint8_t *long_one = (uint8_t *)alloc(PASSWORD_BYTES_MAX + 1);
    memset(long_one, 'x', PASSWORD_BYTES_MAX + 1);
    char *hash = password_make_hash(BYTES(""), bytes_of(long_one, PASSWORD_BYTES_MAX));
    assert_true(password_check(BYTES(""), bytes_of_string(hash), bytes_of(long_one, PASSWORD_BYTES_MAX)));
    assert_false(password_check(BYTES(""), bytes_of_string(hash), bytes_of(long_one, PASSWORD_BYTES_MAX + 1)));
    assert_null(password_make_hash(BYTES(""), bytes_of(long_one, PASSWORD_BYTES_MAX + 1)));
    password_waste(bytes_of(long_one, PASSWORD_BYTES_MAX + 1));
    password_waste(BYTES(""));
    free(hash);
    free(long_one);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rabbitmq_wrote_matches_its_password_and_no_other),
        cmocka_unit_test(the_default_is_sha256),
        cmocka_unit_test(a_hash_is_of_its_algorithm_only),
        cmocka_unit_test(nothing_but_the_very_password_matches),
        cmocka_unit_test(every_bit_of_a_hash_counts),
        cmocka_unit_test(an_empty_password_never_matches),
        cmocka_unit_test(an_empty_hash_is_one_that_nobody_matches),
        cmocka_unit_test(an_unknown_algorithm_never_matches),
        cmocka_unit_test(a_hash_written_in_any_other_way_is_none),
        cmocka_unit_test(what_is_made_matches_and_has_a_salt_of_its_own),
        cmocka_unit_test(zeros_and_bytes_that_are_no_text_count),
        cmocka_unit_test(a_password_has_a_limit),
    };
    return unit_main("net/password", tests, argc, argv);
}
