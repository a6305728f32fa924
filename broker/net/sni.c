#define _GNU_SOURCE
#include "broker/net/sni.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/net/tls.h"

struct identity {
    X509 *certificate;      /* owned */
    EVP_PKEY *key;          /* owned */
    STACK_OF(X509) * chain; /* owned */
};

struct sni {
    unsigned n;
    struct identity identities[];
};

static int on_password(char *to, int size, int is_writing, void *arg)
{
    (void)is_writing;
    const char *password = arg;
    size_t n = password != NULL ? strlen(password) : 0;
    if (n == 0 || n > (size_t)size)
        return -1;
    memcpy(to, password, n); // NOLINT(bugprone-not-null-terminated-result): its length goes with it
    return (int)n;
}

static BIO *open_file(const char *path, char **error)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    if (f != NULL && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= TLS_FILE_BYTES_MAX &&
        (st.st_mode & S_IRWXO) == 0)
        return BIO_new_fp(f, BIO_CLOSE);
    *error = f == NULL
                 ? str_format("ssl_options.sni: %s: %s", path, strerrordesc_np(errno))
                 : str_format("ssl_options.sni: %s is no file of a reasonable size that others cannot read", path);
    if (f != NULL)
        fclose(f);
    return NULL;
}

static bool read_certificates(struct identity *id, BIO *in)
{
    X509 *x;
    id->chain = sk_X509_new_null();
    while ((x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
        if (id->certificate == NULL)
            id->certificate = x;
        else
            sk_X509_push(id->chain, x);
    }
    return id->certificate != NULL;
}

static bool identity_read(struct identity *id, const char *path, const char *password, char **error)
{
    BIO *in = open_file(path, error);
    if (in == NULL)
        return false;
    bool is_good = read_certificates(id, in) && BIO_seek(in, 0) == 0 &&
                   (id->key = PEM_read_bio_PrivateKey(in, NULL, on_password, (void *)(uintptr_t)password)) != NULL &&
                   X509_check_private_key(id->certificate, id->key) == 1;
    BIO_free(in);
    if (is_good)
        return true;
    char reason[256];
    tls_error(reason, sizeof reason);
    *error = str_format("ssl_options.sni: %s: %s", path,
                        id->certificate == NULL ? "no certificate in it"
                        : id->key == NULL       ? "no private key in it that can be read"
                                                : "the private key does not belong to the certificate");
    return false;
}

struct sni *sni_create(const char *const *files, unsigned n, const char *password, char **error)
{
    if (n > SNI_CERTIFICATES_MAX) {
        *error = str_format("ssl_options.sni: more than %d certificates", SNI_CERTIFICATES_MAX);
        return NULL;
    }
    struct sni *s = alloc_zeroed(sizeof *s + n * sizeof(struct identity));
    s->n = n;
    for (unsigned i = 0; i < n; i++) {
        if (!identity_read(&s->identities[i], files[i], password, error)) {
            sni_destroy(s);
            return NULL;
        }
    }
    return s;
}

void sni_destroy(struct sni *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->n; i++) {
        X509_free(s->identities[i].certificate);
        EVP_PKEY_free(s->identities[i].key);
        sk_X509_pop_free(s->identities[i].chain, X509_free);
    }
    free(s);
}

bool sni_choose(const struct sni *s, SSL *ssl)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    for (unsigned i = 0; name != NULL && i < s->n; i++) {
        const struct identity *id = &s->identities[i];
        if (X509_check_host(id->certificate, name, 0, 0, NULL) == 1)
            return SSL_use_cert_and_key(ssl, id->certificate, id->key, id->chain, 1) == 1;
    }
    return true;
}
