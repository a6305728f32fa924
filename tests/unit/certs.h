/* Certificates that a test makes for itself, in a folder that goes with it. */
#ifndef TESTS_UNIT_CERTS_H
#define TESTS_UNIT_CERTS_H

#include <openssl/x509.h>
#include <stdbool.h>

enum { CERT_DAY_S = 86400 };

/* Somebody with a certificate, and so perhaps an authority. */
struct somebody {
    EVP_PKEY *key; /* owned */
    X509 *x;       /* owned */
};

/* What is unlike the usual: an EC key, valid from yesterday for a year, SHA-256. */
struct cert_wish {
    const char *subject; /* "CN=a,O=b", in this order; "+" instead of "," joins with the one before */
    const char *san;     /* "DNS:a.b,IP:10.0.0.1", or NULL */
    bool is_ca;
    long from_s, until_s; /* from now; both 0: as usual */
    int rsa_bits;
    const EVP_MD *digest;
    EVP_PKEY *key; /* borrowed: to certify instead of a new one */
};

/* by: NULL: signs itself. */
struct somebody cert_make(const struct cert_wish *wish, const struct somebody *by);
void cert_drop(struct somebody *s);

/* A list of ca's in which those n are. */
X509_CRL *cert_revoke(const struct somebody *ca, X509 *const *who, int n);

/* A folder; path of a file in it, good for 16 calls; removes it with all that is in it. */
char *certs_folder(void);
const char *certs_path(const char *folder, const char *name);
void certs_remove(char *folder);

/* Written to folder/name, readable by the owner alone. */
const char *certs_write(const char *folder, const char *name, X509 *const *certificates, int n);
const char *certs_write_key(const char *folder, const char *name, EVP_PKEY *key, const char *password);
const char *certs_write_crl(const char *folder, const char *name, X509_CRL *crl);
const char *certs_write_text(const char *folder, const char *name, const char *text);
#endif
