#define _GNU_SOURCE
#include "broker/net/certificate.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "base/utf8.h"

/* A text that grows up to a limit. */
struct text {
    char at[4 * CERTIFICATE_TEXT_MAX + 1];
    size_t len;
    bool is_cut; /* there was more, or something that is no text */
};

static void put(struct text *t, const char *s, size_t n)
{
    size_t room = sizeof t->at - 1 - t->len;
    if (n > room) {
        n = room;
        t->is_cut = true;
    }
    memcpy(t->at + t->len, s, n);
    t->len += n;
    t->at[t->len] = '\0';
}

static void put_string(struct text *t, const char *s)
{
    put(t, s, strlen(s));
}

/* The string as UTF-8, which the caller gives to OPENSSL_free(); NULL: it is none. */
static uint8_t *as_utf8(const ASN1_STRING *s, size_t *len)
{
    uint8_t *utf8 = NULL;
    int n = ASN1_STRING_to_UTF8(&utf8, s);
    if (n < 0)
        return NULL;
    bool is_good = utf8_check(bytes_of(utf8, (size_t)n)) && memchr(utf8, 0, (size_t)n) == NULL;
    if (!is_good) {
        OPENSSL_free(utf8);
        return NULL;
    }
    *len = (size_t)n;
    return utf8;
}

/* ---- Distinguished names. */

/* What RabbitMQ calls them; the rest goes by number. */
static void put_type(struct text *t, const ASN1_OBJECT *type)
{
    static const struct {
        int nid;
        const char *name;
    } names[] = {
        {NID_commonName, "CN"},
        {NID_surname, "SN"},
        {NID_givenName, "GIVENNAME"},
        {NID_initials, "INITIALS"},
        {NID_generationQualifier, "GENERATIONQUALIFIER"},
        {NID_localityName, "L"},
        {NID_stateOrProvinceName, "ST"},
        {NID_organizationName, "O"},
        {NID_organizationalUnitName, "OU"},
        {NID_title, "TITLE"},
        {NID_countryName, "C"},
        {NID_serialNumber, "SERIALNUMBER"},
        {NID_pseudonym, "PSEUDONYM"},
        {NID_domainComponent, "DC"},
        {NID_pkcs9_emailAddress, "EMAILADDRESS"},
        {NID_userId, "UID"},
    };
    int nid = OBJ_obj2nid(type);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].nid == nid) {
            put_string(t, names[i].name);
            return;
        }
    }
    char number[128];
    OBJ_obj2txt(number, sizeof number, type, 1);
    put_string(t, number);
}

/* As RFC 4514 wants it, and everything that is not printable ASCII as \XX. */
static void put_escaped(struct text *t, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char escaped[4];
        bool is_edge_space = s[i] == ' ' && (i == 0 || i == n - 1);
        if (s[i] < 0x20 || s[i] >= 0x7e)
            snprintf(escaped, sizeof escaped, "\\%02X", s[i]);
        else if (is_edge_space || (s[i] == '#' && i == 0) || strchr("\"+,;<>\\", s[i]) != NULL)
            snprintf(escaped, sizeof escaped, "\\%c", s[i]);
        else
            snprintf(escaped, sizeof escaped, "%c", s[i]);
        put_string(t, escaped);
    }
}

/* Most specific first; those of one set joined by +, in their order.  False: something in it is no text. */
static bool put_name(struct text *t, const X509_NAME *name)
{
    int last = X509_NAME_entry_count(name) - 1;
    for (int end = last; end >= 0;) {
        int set = X509_NAME_ENTRY_set(X509_NAME_get_entry(name, end)), first = end;
        while (first > 0 && X509_NAME_ENTRY_set(X509_NAME_get_entry(name, first - 1)) == set)
            first--;
        if (end != last)
            put_string(t, ",");
        for (int i = first; i <= end; i++) {
            const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
            size_t n;
            uint8_t *value = as_utf8(X509_NAME_ENTRY_get_data(e), &n);
            if (value == NULL)
                return false;
            if (i > first)
                put_string(t, "+");
            put_type(t, X509_NAME_ENTRY_get_object(e));
            put_string(t, "=");
            put_escaped(t, value, n);
            OPENSSL_free(value);
        }
        end = first - 1;
    }
    return true;
}

static bool put_common_names(struct text *t, const X509_NAME *name)
{
    for (int i = -1; (i = X509_NAME_get_index_by_NID(name, NID_commonName, i)) >= 0;) {
        size_t n;
        uint8_t *value = as_utf8(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)), &n);
        if (value == NULL)
            return false;
        if (t->len > 0)
            put_string(t, ",");
        put(t, (const char *)value, n);
        OPENSSL_free(value);
    }
    return true;
}

/* ---- Alternative names. */

static bool put_ip(struct text *t, const ASN1_STRING *s)
{
    char ip[INET6_ADDRSTRLEN];
    int n = ASN1_STRING_length(s);
    if (n != 4 && n != 16)
        return false;
    inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(s), ip, sizeof ip);
    put_string(t, ip);
    return true;
}

static bool put_general_name(struct text *t, const GENERAL_NAME *g)
{
    int type;
    const void *value = GENERAL_NAME_get0_value(g, &type);
    const ASN1_STRING *s = value;
    if (type == GEN_IPADD)
        return put_ip(t, s);
    if (type == GEN_OTHERNAME) {
        const ASN1_TYPE *other = ((const OTHERNAME *)value)->value;
        if (other->type != V_ASN1_UTF8STRING && other->type != V_ASN1_IA5STRING &&
            other->type != V_ASN1_PRINTABLESTRING)
            return false;
        s = other->value.asn1_string;
    }
    size_t n;
    uint8_t *utf8 = as_utf8(s, &n);
    if (utf8 == NULL)
        return false;
    put(t, (const char *)utf8, n);
    OPENSSL_free(utf8);
    return true;
}

/* The index-th of that type. */
static bool put_alternative_name(struct text *t, const X509 *x, enum san_type type, unsigned index)
{
    static const int types[] = {[SAN_DNS] = GEN_DNS,
                                [SAN_IP] = GEN_IPADD,
                                [SAN_EMAIL] = GEN_EMAIL,
                                [SAN_URI] = GEN_URI,
                                [SAN_OTHER_NAME] = GEN_OTHERNAME};
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    bool is_there = false;
    for (int i = 0; !is_there && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        int is;
        GENERAL_NAME_get0_value(g, &is);
        if (is != types[type] || index-- > 0)
            continue;
        is_there = put_general_name(t, g);
        break;
    }
    GENERAL_NAMES_free(all);
    return is_there;
}

/* ---- What others see. */

char *certificate_login_name(const X509 *x, enum login_from from, enum san_type type, unsigned index)
{
    struct text t = {.at = ""};
    const X509_NAME *subject = X509_get_subject_name(x);
    bool is_good = false;
    switch (from) {
    case LOGIN_FROM_DISTINGUISHED_NAME:
        is_good = put_name(&t, subject);
        break;
    case LOGIN_FROM_COMMON_NAME:
        is_good = put_common_names(&t, subject);
        break;
    case LOGIN_FROM_SUBJECT_ALTERNATIVE_NAME:
        is_good = put_alternative_name(&t, x, type, index);
        break;
    }
    if (!is_good || t.is_cut || t.len == 0 || t.len > CERTIFICATE_NAME_MAX)
        return NULL;
    return str_format("%s", t.at);
}

static char *format_name(const X509_NAME *name)
{
    struct text t = {.at = ""};
    if (!put_name(&t, name))
        put_string(&t, "...");
    return str_format("%.*s", CERTIFICATE_TEXT_MAX, t.at); /* all of it is ASCII */
}

char *certificate_subject(const X509 *x)
{
    return format_name(X509_get_subject_name(x));
}

char *certificate_issuer(const X509 *x)
{
    return format_name(X509_get_issuer_name(x));
}

static void format_time(const ASN1_TIME *at, char text[64])
{
    struct tm tm;
    if (ASN1_TIME_to_tm(at, &tm) != 1)
        snprintf(text, 64, "unknown");
    else
        snprintf(text, 64, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec);
}

char *certificate_validity(const X509 *x)
{
    char from[64], to[64];
    format_time(X509_get0_notBefore(x), from);
    format_time(X509_get0_notAfter(x), to);
    return str_format("%s - %s", from, to);
}
