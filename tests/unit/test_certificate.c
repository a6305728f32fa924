/* Who a certificate says that somebody is.  The names were compared with what RabbitMQ 3.10 makes of such certificates
 * (rabbit_cert_info:subject). */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <string.h>

#include <openssl/x509v3.h>

#include "broker/net/certificate.h"
#include "tests/unit/certs.h"

static char *login_name(const struct cert_wish *wish, enum login_from from, enum san_type type, unsigned index)
{
    struct somebody s = cert_make(wish, NULL);
    char *name = certificate_login_name(s.x, from, type, index);
    cert_drop(&s);
    return name;
}

static void assert_login(const char *subject, enum login_from from, const char *expected)
{
    char *name = login_name(&(struct cert_wish){.subject = subject}, from, SAN_DNS, 0);
    if (expected == NULL)
        assert_null(name);
    else
        assert_string_equal(name, expected);
    free(name);
}

TEST(a_distinguished_name_is_most_specific_first)
{
    assert_login("C=DE,O=org,CN=client", LOGIN_FROM_DISTINGUISHED_NAME, "CN=client,O=org,C=DE");
    assert_login("DC=example,UID=u1,emailAddress=a@b.c,SN=s,GN=g,initials=i,title=t,serialNumber=5,L=l,ST=st,OU=ou",
                 LOGIN_FROM_DISTINGUISHED_NAME,
                 "OU=ou,ST=st,L=l,SERIALNUMBER=5,TITLE=t,INITIALS=i,GIVENNAME=g,SN=s,EMAILADDRESS=a@b.c,UID=u1,"
                 "DC=example");
}

TEST(what_has_no_short_name_goes_by_number)
{
    assert_login("CN=a,street=Main,postalCode=123", LOGIN_FROM_DISTINGUISHED_NAME, "2.5.4.17=123,2.5.4.9=Main,CN=a");
}

TEST(those_of_one_set_are_joined_in_their_order)
{
    assert_login("O=A+OU=B,CN=c", LOGIN_FROM_DISTINGUISHED_NAME, "CN=c,O=A+OU=B");
}

TEST(what_could_be_mistaken_is_escaped)
{
    assert_login("CN= two\" <x>;\\ ", LOGIN_FROM_DISTINGUISHED_NAME, "CN=\\ two\\\" \\<x\\>\\;\\\\\\ ");
    assert_login("CN=#1,O=cli~ent", LOGIN_FROM_DISTINGUISHED_NAME, "O=cli\\7Eent,CN=\\#1");
    assert_login("CN=\xc3\x9cnit", LOGIN_FROM_DISTINGUISHED_NAME, "CN=\\C3\\9Cnit");
    assert_login("CN=a\nb", LOGIN_FROM_DISTINGUISHED_NAME, "CN=a\\0Ab");
}

TEST(common_names_are_joined_by_comma)
{
    assert_login("O=org,CN=one,CN=\xc3\x9cwo", LOGIN_FROM_COMMON_NAME, "one,\xc3\x9cwo");
    assert_login("O=org", LOGIN_FROM_COMMON_NAME, NULL);
}

TEST(an_alternative_name_is_found_by_type_and_index)
{
    static const struct {
        enum san_type type;
        unsigned index;
        const char *expected;
    } cases[] = {
        {SAN_DNS, 0, "a.b"},     {SAN_DNS, 1, "c.d"},          {SAN_DNS, 2, NULL},
        {SAN_IP, 0, "10.0.0.1"}, {SAN_IP, 1, "fd00::1"},       {SAN_EMAIL, 0, "x@y.z"},
        {SAN_URI, 0, "urn:foo"}, {SAN_OTHER_NAME, 0, "u@dom"}, {SAN_OTHER_NAME, 1, NULL},
    };
    const struct cert_wish wish = {.subject = "CN=x",
                                   .san = "DNS:a.b,email:x@y.z,DNS:c.d,IP:10.0.0.1,IP:fd00::1,URI:urn:foo,"
                                          "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@dom"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *name = login_name(&wish, LOGIN_FROM_SUBJECT_ALTERNATIVE_NAME, cases[i].type, cases[i].index);
        if (cases[i].expected == NULL)
            assert_null(name);
        else
            assert_string_equal(name, cases[i].expected);
        free(name);
    }
    assert_login("CN=x", LOGIN_FROM_SUBJECT_ALTERNATIVE_NAME, NULL);
}

/* A certificate whose common name has these bytes, which are said to be of that type. */
static char *login_of_bytes(int type, const void *bytes, int n, enum login_from from)
{
    struct somebody s = cert_make(&(struct cert_wish){.subject = "O=org"}, NULL);
    X509_NAME *name = X509_NAME_new();
    X509_NAME_ENTRY *e =
        X509_NAME_ENTRY_create_by_NID(NULL, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *)"x", 1);
    ASN1_STRING *string = ASN1_STRING_type_new(type);
    ASN1_STRING_set(string, bytes, n);
    ASN1_STRING_copy(X509_NAME_ENTRY_get_data(e), string);
    X509_NAME_add_entry(name, e, -1, 0);
    assert_int_equal(X509_set_subject_name(s.x, name), 1);
    char *login = certificate_login_name(s.x, from, SAN_DNS, 0);
    ASN1_STRING_free(string);
    X509_NAME_ENTRY_free(e);
    X509_NAME_free(name);
    cert_drop(&s);
    return login;
}

/* An alternative name of these bytes. */
static char *login_of_san(int type, const void *bytes, int n)
{
    struct somebody s = cert_make(&(struct cert_wish){.subject = "CN=x"}, NULL);
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_STRING *string = ASN1_STRING_type_new(type == GEN_OTHERNAME ? V_ASN1_UTF8STRING : V_ASN1_IA5STRING);
    ASN1_STRING_set(string, bytes, n);
    if (type == GEN_OTHERNAME) {
        ASN1_TYPE *value = ASN1_TYPE_new();
        ASN1_TYPE_set(value, V_ASN1_UTF8STRING, string);
        GENERAL_NAME_set0_othername(g, OBJ_txt2obj("1.3.6.1.4.1.311.20.2.3", 1), value);
    } else {
        GENERAL_NAME_set0_value(g, type, string);
    }
    sk_GENERAL_NAME_push(all, g);
    assert_int_equal(X509_add1_ext_i2d(s.x, NID_subject_alt_name, all, 0, 0), 1);
    GENERAL_NAMES_free(all);
    char *login = certificate_login_name(s.x, LOGIN_FROM_SUBJECT_ALTERNATIVE_NAME,
                                         type == GEN_OTHERNAME ? SAN_OTHER_NAME : SAN_DNS, 0);
    cert_drop(&s);
    return login;
}

TEST(a_name_with_a_nul_is_none)
{
    for (int from = LOGIN_FROM_DISTINGUISHED_NAME; from <= LOGIN_FROM_COMMON_NAME; from++) {
        assert_null(login_of_bytes(V_ASN1_UTF8STRING, "admin\0.evil", 11, (enum login_from)from));
        assert_null(login_of_bytes(V_ASN1_PRINTABLESTRING, "a\0b", 3, (enum login_from)from));
    }
    assert_null(login_of_san(GEN_DNS, "admin\0.evil", 11));
    assert_null(login_of_san(GEN_OTHERNAME, "admin\0.evil", 11));
}

TEST(what_is_no_utf8_is_no_name)
{
    static const char *const bad[] = {"\xff", "\xc0\x80", "a\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(login_of_san(GEN_OTHERNAME, bad[i], (int)strlen(bad[i])));
    char *good = login_of_san(GEN_OTHERNAME, "a\xe2\x82\xac\xf0\x9f\x98\x80", 8);
    assert_string_equal(good, "a\xe2\x82\xac\xf0\x9f\x98\x80");
    free(good);
    good = login_of_bytes(V_ASN1_BMPSTRING, "\0a\x20\xac", 4, LOGIN_FROM_COMMON_NAME);
    assert_string_equal(good, "a\xe2\x82\xac");
    free(good);
}

TEST(a_name_has_at_most_255_bytes)
{
    char subject[1200] = "";
    for (int i = 0; i < 5; i++) {
        strcat(subject, i == 0 ? "CN=" : ",CN=");
        strcat(subject, "0123456789012345678901234567890123456789012345678x");
    }
    char *name = login_name(&(struct cert_wish){.subject = subject}, LOGIN_FROM_COMMON_NAME, SAN_DNS, 0);
    assert_non_null(name);
    assert_int_equal(strlen(name), 5 * 50 + 4);
    free(name);
    strcat(subject, ",CN=y"); /* 256 */
    assert_login(subject, LOGIN_FROM_COMMON_NAME, NULL);
    assert_login(subject, LOGIN_FROM_DISTINGUISHED_NAME, NULL);
    struct somebody s = cert_make(&(struct cert_wish){.subject = subject}, NULL);
    char *shown = certificate_subject(s.x); /* but shown it is */
    assert_int_equal(strlen(shown), 5 * 53 + 6 - 1 + 4);
    free(shown);
    cert_drop(&s);
}

TEST(issuer_and_validity_are_shown)
{
    struct somebody ca = cert_make(&(struct cert_wish){.subject = "O=o,CN=ca", .is_ca = true}, NULL);
    struct somebody s = cert_make(&(struct cert_wish){.subject = "CN=c"}, &ca);
    char *issuer = certificate_issuer(s.x), *validity = certificate_validity(s.x);
    assert_string_equal(issuer, "CN=ca,O=o");
    int y[2], n = 0;
    assert_int_equal(
        sscanf(validity, "%4d-%*2d-%*2dT%*2d:%*2d:%*2dZ - %4d-%*2d-%*2dT%*2d:%*2d:%*2dZ%n", &y[0], &y[1], &n), 2);
    assert_int_equal(n, strlen(validity));
    assert_true(y[1] == y[0] + 1 || y[1] == y[0]);
    free(issuer);
    free(validity);
    cert_drop(&s);
    cert_drop(&ca);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_distinguished_name_is_most_specific_first),
        cmocka_unit_test(what_has_no_short_name_goes_by_number),
        cmocka_unit_test(those_of_one_set_are_joined_in_their_order),
        cmocka_unit_test(what_could_be_mistaken_is_escaped),
        cmocka_unit_test(common_names_are_joined_by_comma),
        cmocka_unit_test(an_alternative_name_is_found_by_type_and_index),
        cmocka_unit_test(a_name_with_a_nul_is_none),
        cmocka_unit_test(what_is_no_utf8_is_no_name),
        cmocka_unit_test(a_name_has_at_most_255_bytes),
        cmocka_unit_test(issuer_and_validity_are_shown),
    };
    return unit_main("certificate", tests, argc, argv);
}
