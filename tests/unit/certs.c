#define _GNU_SOURCE
#include "tests/unit/certs.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/str.h"

static void set_name(X509_NAME *name, const char *text)
{
    char copy[1024];
    CHECK(strlen(text) < sizeof copy);
    strcpy(copy, text);
    bool joins = false;
    for (char *at = copy; *at != '\0';) {
        char *end = at + strcspn(at, ",+"), *equals = strchr(at, '=');
        char ends_with = *end;
        *end = *equals = '\0';
        CHECK(X509_NAME_add_entry_by_txt(name, at, MBSTRING_UTF8, (const unsigned char *)equals + 1, -1, -1,
                                         joins ? -1 : 0) == 1);
        joins = ends_with == '+';
        at = ends_with == '\0' ? end : end + 1;
    }
}

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    CHECK(e != NULL && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

struct somebody cert_make(const struct cert_wish *wish, const struct somebody *by)
{
    static long serial = 1000;
    struct somebody s = {.x = X509_new()};
    if (wish->key != NULL) {
        EVP_PKEY_up_ref(wish->key);
        s.key = wish->key;
    } else {
        s.key = wish->rsa_bits > 0 ? EVP_RSA_gen((unsigned)wish->rsa_bits) : EVP_EC_gen("P-256");
    }
    bool is_usual = wish->from_s == 0 && wish->until_s == 0;
    X509_set_version(s.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(s.x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(s.x), is_usual ? -CERT_DAY_S : wish->from_s);
    X509_gmtime_adj(X509_getm_notAfter(s.x), is_usual ? 365L * CERT_DAY_S : wish->until_s);
    X509_set_pubkey(s.x, s.key);
    set_name(X509_get_subject_name(s.x), wish->subject);
    X509_set_issuer_name(s.x, by != NULL ? X509_get_subject_name(by->x) : X509_get_subject_name(s.x));
    if (wish->is_ca) {
        add_extension(s.x, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(s.x, NID_key_usage, "critical,keyCertSign,cRLSign");
    }
    if (wish->san != NULL)
        add_extension(s.x, NID_subject_alt_name, wish->san);
    CHECK(X509_sign(s.x, by != NULL ? by->key : s.key, wish->digest != NULL ? wish->digest : EVP_sha256()) > 0);
    return s;
}

void cert_drop(struct somebody *s)
{
    EVP_PKEY_free(s->key);
    X509_free(s->x);
    *s = (struct somebody){0};
}

X509_CRL *cert_revoke(const struct somebody *ca, X509 *const *who, int n)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *later = X509_gmtime_adj(NULL, CERT_DAY_S);
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, later);
    for (int i = 0; i < n; i++) {
        X509_REVOKED *r = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(who[i]));
        X509_REVOKED_set_revocationDate(r, now);
        X509_CRL_add0_revoked(crl, r);
    }
    CHECK(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    return crl;
}

/* ---- Files. */

char *certs_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = str_format("%s/certs.XXXXXX", tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    return folder;
}

const char *certs_path(const char *folder, const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *path = paths[next++ % 16];
    CHECK(snprintf(path, sizeof paths[0], "%s/%s", folder, name) < (int)sizeof paths[0]);
    return path;
}

void certs_remove(char *folder)
{
    DIR *d = opendir(folder);
    CHECK(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlink(certs_path(folder, e->d_name));
    closedir(d);
    rmdir(folder);
    free(folder);
}

static FILE *create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    CHECK(f != NULL);
    return f;
}

const char *certs_write(const char *folder, const char *name, X509 *const *certificates, int n)
{
    const char *path = certs_path(folder, name);
    FILE *f = create(path);
    for (int i = 0; i < n; i++)
        CHECK(PEM_write_X509(f, certificates[i]) == 1);
    fclose(f);
    return path;
}

const char *certs_write_key(const char *folder, const char *name, EVP_PKEY *key, const char *password)
{
    const char *path = certs_path(folder, name);
    FILE *f = create(path);
    int n = password != NULL ? (int)strlen(password) : 0;
    CHECK(PEM_write_PKCS8PrivateKey(f, key, password != NULL ? EVP_aes_256_cbc() : NULL, password, n, NULL, NULL) == 1);
    fclose(f);
    return path;
}

const char *certs_write_crl(const char *folder, const char *name, X509_CRL *crl)
{
    const char *path = certs_path(folder, name);
    FILE *f = create(path);
    CHECK(PEM_write_X509_CRL(f, crl) == 1);
    fclose(f);
    return path;
}

const char *certs_write_text(const char *folder, const char *name, const char *text)
{
    const char *path = certs_path(folder, name);
    FILE *f = create(path);
    fputs(text, f);
    fclose(f);
    return path;
}
