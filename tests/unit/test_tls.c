/* TLS contexts: what is wrong with files, who gets in, what is remembered. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/unit/tls_rig.h"

static void assert_wrong(const struct tls_config *c, const char *first, const char *second)
{
    char *error = NULL;
    struct tls *t = tls_create(c, &error);
    if (t != NULL)
        fail_msg("should be wrong: %s", first);
    if (strstr(error, first) == NULL || strstr(error, second) == NULL)
        fail_msg("\"%s\" and \"%s\" are not in: %s", first, second, error);
    free(error);
}

static struct tls *must_create(const struct tls_config *c)
{
    char *error = NULL;
    struct tls *t = tls_create(c, &error);
    if (t == NULL)
        fail_msg("%s", error);
    return t;
}

static bool shakes(struct tls *t, SSL_CTX *client)
{
    struct hands h;
    hands_shake(&h, t, client, NULL);
    hands_drop(&h);
    return h.is_done;
}

/* Whether somebody gets in by that configuration. */
static bool gets_in(const struct rig *r, const struct tls_config *c, const struct somebody *who)
{
    struct tls *t = must_create(c);
    SSL_CTX *client = rig_client(r, who);
    bool is_in = shakes(t, client);
    SSL_CTX_free(client);
    tls_unref(t);
    return is_in;
}

TEST(each_file_that_cannot_be_read_is_named)
{
    struct rig r;
    rig_up(&r);
    static const char words[] = "invalid, file does not exist or cannot be read by the node: ";
    struct tls_config c = r.config;
    c.certfile = "/nowhere/c.pem";
    assert_wrong(&c, "ssl_options.certfile invalid", words);
    assert_wrong(&c, "/nowhere/c.pem: No such file or directory (uid ", "");
    c = r.config;
    c.keyfile = r.folder;
    assert_wrong(&c, "ssl_options.keyfile invalid", ": Is a directory (uid ");
    c = r.config;
    c.cacertfile = "/nowhere";
    assert_wrong(&c, "ssl_options.cacertfile invalid", words);
    c = r.config;
    c.dhfile = "/nowhere";
    assert_wrong(&c, "ssl_options.dhfile invalid", words);
    c = r.config;
    c.verify_peer = true;
    c.crl_check = CRL_CHECK_PEER;
    c.crlfile = "/nowhere";
    assert_wrong(&c, "ssl_options.crlfile invalid", words);
    rig_down(&r);
}

/* A file with a certificate for that name and its key. */
static void write_identity(const struct rig *r, const char *file, const char *name, bool has_its_own_key)
{
    char san[64];
    snprintf(san, sizeof san, "DNS:%s", name);
    struct somebody who = cert_make(&(struct cert_wish){.subject = "CN=one of many", .san = san}, &r->ca);
    FILE *f = fopen(certs_write(r->folder, file, &who.x, 1), "ae");
    assert_non_null(f);
    PEM_write_PrivateKey(f, has_its_own_key ? who.key : r->ca.key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    cert_drop(&who);
}

static bool is_shown(struct tls *t, SSL_CTX *client, const char *asked, const char *shown)
{
    struct hands h;
    hands_shake_with(&h, t, client, NULL, asked);
    const X509 *x = h.is_done ? SSL_get0_peer_certificate(h.client) : NULL;
    bool is_it = x != NULL && X509_check_host((X509 *)(uintptr_t)x, shown, 0, 0, NULL) == 1;
    hands_drop(&h);
    return is_it;
}

TEST(who_asks_for_a_name_is_shown_the_certificate_that_has_it)
{
    struct rig r;
    rig_up(&r);
    char a[512], b[512];
    write_identity(&r, "a.pem", "a.example", true);
    write_identity(&r, "b.pem", "*.b.example", true);
    snprintf(a, sizeof a, "%s", certs_path(r.folder, "a.pem"));
    snprintf(b, sizeof b, "%s", certs_path(r.folder, "b.pem"));
    const char *files[] = {a, b};
    struct tls_config c = r.config;
    c.snis = files;
    c.n_snis = 2;
    struct tls *t = must_create(&c);
    SSL_CTX *client = rig_client(&r, NULL);
    assert_true(is_shown(t, client, NULL, "localhost"));
    assert_true(is_shown(t, client, "localhost", "localhost"));
    assert_true(is_shown(t, client, "a.example", "a.example"));
    assert_true(is_shown(t, client, "x.b.example", "y.b.example"));
    assert_true(is_shown(t, client, "nobody.example", "localhost"));
    SSL_CTX_free(client);
    tls_unref(t);
    write_identity(&r, "a.pem", "a.example", false);
    assert_wrong(&c, "a.pem", "the private key does not belong to the certificate");
    files[1] = "/nowhere.pem";
    write_identity(&r, "a.pem", "a.example", true);
    assert_wrong(&c, "ssl_options.sni: /nowhere.pem", "No such file");
    rig_down(&r);
}

TEST(each_file_that_is_something_else_is_named)
{
    struct rig r;
    rig_up(&r);
    char junk[512], good_crl[512];
    snprintf(junk, sizeof junk, "%s", certs_write_text(r.folder, "junk", "-----BEGIN CERTIFICATE-----\nnonsense\n"));
    X509_CRL *crl = cert_revoke(&r.ca, NULL, 0);
    snprintf(good_crl, sizeof good_crl, "%s", certs_write_crl(r.folder, "crl.pem", crl));
    X509_CRL_free(crl);
    struct tls_config c = r.config;
    c.certfile = junk;
    assert_wrong(&c, "ssl_options.certfile: ", junk);
    c = r.config;
    c.keyfile = junk;
    assert_wrong(&c, "ssl_options.keyfile: ", junk);
    c = r.config;
    c.keyfile = r.pem;
    assert_wrong(&c, "ssl_options.keyfile: ", "no private key");
    c = r.config;
    c.cacertfile = junk;
    assert_wrong(&c, "ssl_options.cacertfile: ", junk);
    c = r.config;
    c.dhfile = junk;
    assert_wrong(&c, "ssl_options.dhfile: ", junk);
    c = r.config;
    c.verify_peer = true;
    c.crl_check = CRL_CHECK_CHAIN;
    c.crlfile = junk;
    assert_wrong(&c, "ssl_options.crlfile: ", junk);
    c.crlfile = good_crl;
    tls_unref(must_create(&c));
    rig_down(&r);
}

TEST(keys_that_do_not_fit_or_can_be_seen_are_refused)
{
    struct rig r;
    rig_up(&r);
    struct tls_config c = r.config;
    c.keyfile = certs_write_key(r.folder, "other.key", r.client.key, NULL);
    assert_wrong(&c, "other.key does not belong to the certificate in ", "server.pem");
    c = r.config;
    chmod(r.key, 0640);
    tls_unref(must_create(&c));
    chmod(r.key, 0644);
    assert_wrong(&c, "server.key can be read by everybody (mode 0644)", "chmod o=");
    chmod(r.key, 0600);
    rig_down(&r);
}

TEST(an_encrypted_key_needs_its_password)
{
    struct rig r;
    rig_up(&r);
    struct tls_config c = r.config;
    c.keyfile = certs_write_key(r.folder, "secret.key", r.server.key, "open sesame");
    assert_wrong(&c, "secret.key", "ssl_options.password is missing");
    c.password = "open barley";
    assert_wrong(&c, "secret.key", "is ssl_options.password right?");
    c.password = "open sesame";
    tls_unref(must_create(&c));
    rig_down(&r);
}

TEST(what_makes_no_sense_together_is_refused)
{
    struct rig r;
    rig_up(&r);
    struct tls_config c = r.config;
    c.certfile = NULL;
    assert_wrong(&c, "ssl_options.certfile: a TLS listener needs a certificate", "");
    c = r.config;
    c.has_tls_1_2 = c.has_tls_1_3 = false;
    assert_wrong(&c, "ssl_options.versions: neither", "");
    c = r.config;
    c.verify_peer = true;
    c.cacertfile = NULL;
    assert_wrong(&c, "verify_peer needs ssl_options.cacertfile", "");
    c = r.config;
    c.needs_certificate = true;
    assert_wrong(&c, "ssl_options.fail_if_no_peer_cert: needs ssl_options.verify = verify_peer", "");
    c = r.config;
    c.crl_check = CRL_CHECK_CHAIN;
    assert_wrong(&c, "ssl_options.crl_check: needs ssl_options.verify = verify_peer", "");
    c.verify_peer = true;
    assert_wrong(&c, "ssl_options.crl_check: needs ssl_options.crlfile", "");
    rig_down(&r);
}

TEST(a_weak_certificate_of_our_own_is_refused)
{
    struct rig r;
    rig_up(&r);
    struct somebody weak = cert_make(&(struct cert_wish){.subject = "CN=weak", .rsa_bits = 1024}, &r.ca);
    struct tls_config c = r.config;
    c.certfile = certs_write(r.folder, "weak.pem", &weak.x, 1);
    c.keyfile = certs_write_key(r.folder, "weak.key", weak.key, NULL);
    assert_wrong(&c, "weak.pem", "key too small");
    cert_drop(&weak);
    rig_down(&r);
}

/* ---- What is agreed to. */

static const char *version_of(const struct rig *r, const struct tls_config *c, int least, int most, char cipher[64])
{
    static char version[16];
    struct tls *t = must_create(c);
    SSL_CTX *client = rig_client(r, NULL);
    SSL_CTX_set_cipher_list(client, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(client, least);
    SSL_CTX_set_max_proto_version(client, most);
    struct hands h;
    hands_shake(&h, t, client, NULL);
    snprintf(version, sizeof version, "%s", h.is_done ? SSL_get_version(h.client) : "none");
    snprintf(cipher, 64, "%s", h.is_done ? SSL_get_cipher_name(h.client) : "none");
    hands_drop(&h);
    SSL_CTX_free(client);
    tls_unref(t);
    return version;
}

TEST(only_tls_1_2_and_1_3_are_spoken)
{
    struct rig r;
    char cipher[64];
    rig_up(&r);
    assert_string_equal(version_of(&r, &r.config, 0, 0, cipher), "TLSv1.3");
    assert_string_equal(cipher, "TLS_AES_256_GCM_SHA384");
    assert_string_equal(version_of(&r, &r.config, 0, TLS1_2_VERSION, cipher), "TLSv1.2");
    assert_string_equal(cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
    assert_string_equal(version_of(&r, &r.config, 0, TLS1_1_VERSION, cipher), "none");
    assert_string_equal(version_of(&r, &r.config, 0, TLS1_VERSION, cipher), "none");
    struct tls_config c = r.config;
    c.has_tls_1_2 = false;
    assert_string_equal(version_of(&r, &c, 0, TLS1_2_VERSION, cipher), "none");
    c = r.config;
    c.has_tls_1_3 = false;
    assert_string_equal(version_of(&r, &c, 0, 0, cipher), "TLSv1.2");
    rig_down(&r);
}

TEST(ciphers_go_by_both_their_names)
{
    struct rig r;
    char cipher[64];
    rig_up(&r);
    struct tls_config c = r.config;
    const char *const names[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
                                 "TLS_AES_128_GCM_SHA256", "TLS_NO_SUCH_CIPHER"};
    c.ciphers = names;
    c.n_ciphers = 4;
    assert_string_equal(version_of(&r, &c, 0, 0, cipher), "TLSv1.3");
    assert_string_equal(cipher, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(version_of(&r, &c, 0, TLS1_2_VERSION, cipher), "TLSv1.2");
    assert_string_equal(cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
    c.n_ciphers = 2; /* none for 1.3, so that is not offered */
    assert_string_equal(version_of(&r, &c, 0, 0, cipher), "TLSv1.2");
    c.ciphers = names + 3;
    c.n_ciphers = 1;
    assert_wrong(&c, "ssl_options.ciphers: none of them can be used", "");
    rig_down(&r);
}

TEST(a_client_cannot_renegotiate)
{
    struct rig r;
    rig_up(&r);
    struct tls *t = must_create(&r.config);
    SSL_CTX *client = rig_client(&r, NULL);
    SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
    struct hands h;
    hands_shake(&h, t, client, NULL);
    assert_true(h.is_done);
    assert_int_equal(SSL_renegotiate(h.client), 1);
    SSL_do_handshake(h.client);
    char c;
    SSL_read(h.server, &c, 1);
    int n = SSL_do_handshake(h.client);
    assert_int_equal(SSL_get_error(h.client, n), SSL_ERROR_SSL);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    hands_drop(&h);
    SSL_CTX_free(client);
    tls_unref(t);
    rig_down(&r);
}

/* ---- Who gets in. */

TEST(a_client_is_judged_by_its_certificate)
{
    struct rig r;
    rig_up(&r);
    struct tls_config c = r.config;
    c.verify_peer = c.needs_certificate = true;
    struct somebody other_ca = cert_make(&(struct cert_wish){.subject = "CN=ca", .is_ca = true}, NULL);
    const struct {
        const char *what;
        struct cert_wish wish;
        const struct somebody *by;
        bool gets_in;
    } cases[] = {
        {"good", {.subject = "CN=c"}, &r.ca, true},
        {"expired", {.subject = "CN=c", .from_s = -2 * CERT_DAY_S, .until_s = -60}, &r.ca, false},
        {"not yet valid", {.subject = "CN=c", .from_s = CERT_DAY_S, .until_s = 2 * CERT_DAY_S}, &r.ca, false},
        {"of an authority unknown to us", {.subject = "CN=c"}, &other_ca, false},
        {"self-signed", {.subject = "CN=c"}, NULL, false},
        {"RSA-2048", {.subject = "CN=c", .rsa_bits = 2048}, &r.ca, true},
        {"RSA-1024", {.subject = "CN=c", .rsa_bits = 1024}, &r.ca, false},
        {"SHA-1", {.subject = "CN=c", .digest = EVP_sha1()}, &r.ca, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct somebody who = cert_make(&cases[i].wish, cases[i].by);
        if (gets_in(&r, &c, &who) != cases[i].gets_in)
            fail_msg("%s: should%s get in", cases[i].what, cases[i].gets_in ? "" : " not");
        cert_drop(&who);
    }
    assert_false(gets_in(&r, &c, NULL));
    c.needs_certificate = false;
    assert_true(gets_in(&r, &c, NULL));
    struct somebody liar = cert_make(&(struct cert_wish){.subject = "CN=c"}, &other_ca);
    assert_false(gets_in(&r, &c, &liar)); /* better none than a bad one */
    cert_drop(&liar);
    cert_drop(&other_ca);
    rig_down(&r);
}

TEST(depth_counts_what_is_between)
{
    struct rig r;
    rig_up(&r);
    struct somebody by = r.ca, all[3];
    for (int i = 0; i < 2; i++)
        by = all[i] = cert_make(&(struct cert_wish){.subject = i == 0 ? "CN=one" : "CN=two", .is_ca = true}, &by);
    all[2] = cert_make(&(struct cert_wish){.subject = "CN=c"}, &all[1]);
    struct tls_config c = r.config;
    c.verify_peer = true;
    for (c.depth = 0; c.depth < 4; c.depth++) {
        struct tls *t = must_create(&c);
        SSL_CTX *client = rig_client(&r, &all[2]);
        X509_up_ref(all[1].x);
        X509_up_ref(all[0].x);
        SSL_CTX_add_extra_chain_cert(client, all[1].x);
        SSL_CTX_add_extra_chain_cert(client, all[0].x);
        assert_int_equal(shakes(t, client), c.depth >= 2);
        SSL_CTX_free(client);
        tls_unref(t);
    }
    for (int i = 0; i < 3; i++)
        cert_drop(&all[i]);
    rig_down(&r);
}

TEST(who_was_revoked_stays_out)
{
    struct rig r;
    rig_up(&r);
    struct somebody other = cert_make(&(struct cert_wish){.subject = "CN=other"}, &r.ca);
    struct somebody between = cert_make(&(struct cert_wish){.subject = "CN=between", .is_ca = true}, &r.ca);
    struct somebody below = cert_make(&(struct cert_wish){.subject = "CN=below"}, &between);
    X509_CRL *crl = cert_revoke(&r.ca, &r.client.x, 1);
    struct tls_config c = r.config;
    c.verify_peer = true;
    assert_true(gets_in(&r, &c, &r.client));
    c.crlfile = certs_write_crl(r.folder, "crl.pem", crl);
    static const enum tls_crl_check modes[] = {CRL_CHECK_PEER, CRL_CHECK_CHAIN, CRL_CHECK_BEST_EFFORT};
    for (size_t i = 0; i < 3; i++) {
        c.crl_check = modes[i];
        assert_false(gets_in(&r, &c, &r.client));
        assert_true(gets_in(&r, &c, &other));
        /* its issuer has no list */
        struct tls *t = must_create(&c);
        SSL_CTX *client = rig_client(&r, &below);
        X509_up_ref(between.x);
        SSL_CTX_add_extra_chain_cert(client, between.x);
        assert_int_equal(shakes(t, client), modes[i] == CRL_CHECK_BEST_EFFORT);
        SSL_CTX_free(client);
        tls_unref(t);
    }
    X509_CRL_free(crl);
    cert_drop(&below);
    cert_drop(&between);
    cert_drop(&other);
    rig_down(&r);
}

static void assert_identity(const struct rig *r, const struct tls_config *c, const struct somebody *who,
                            const char *name, const char *fault)
{
    struct tls *t = must_create(c);
    SSL_CTX *client = rig_client(r, who);
    struct hands h;
    hands_shake(&h, t, client, NULL);
    assert_true(h.is_done);
    const char *is_fault = NULL;
    char *is = tls_login_name(t, h.server, &is_fault);
    if (name == NULL)
        assert_null(is);
    else
        assert_string_equal(is, name);
    if (fault == NULL)
        assert_null(is_fault);
    else
        assert_string_equal(is_fault, fault);
    free(is);
    hands_drop(&h);
    SSL_CTX_free(client);
    tls_unref(t);
}

TEST(a_verified_certificate_says_who_it_is)
{
    struct rig r;
    rig_up(&r);
    struct tls_config c = r.config;
    assert_identity(&r, &c, &r.client, NULL, "TLS configuration is unsafe");
    c.verify_peer = true;
    assert_identity(&r, &c, NULL, NULL, "connection peer presented no TLS (x.509) certificate");
    assert_identity(&r, &c, &r.client, "CN=client,O=org", NULL);
    c.login_from = LOGIN_FROM_COMMON_NAME;
    assert_identity(&r, &c, &r.client, "client", NULL);
    c.login_from = LOGIN_FROM_SUBJECT_ALTERNATIVE_NAME;
    assert_identity(&r, &c, &r.client, "client.org", NULL);
    c.san_index = 1;
    assert_identity(&r, &c, &r.client, NULL, "no name found");
    rig_down(&r);
}

/* ---- What is remembered. */

static bool resumes(struct tls *t, SSL_CTX *client, SSL_SESSION *session)
{
    struct hands h;
    hands_shake(&h, t, client, session);
    assert_true(h.is_done);
    bool is_resumed = SSL_session_reused(h.server) != 0;
    hands_drop(&h);
    return is_resumed;
}

static SSL_SESSION *session_with(struct tls *t, SSL_CTX *client)
{
    struct hands h;
    hands_shake(&h, t, client, NULL);
    assert_true(h.is_done);
    SSL_SESSION *session = hands_session(&h);
    hands_drop(&h);
    return session;
}

TEST(sessions_are_resumed_with_who_it_was)
{
    struct rig r;
    rig_up(&r);
    struct tls_config c = r.config;
    c.verify_peer = c.needs_certificate = true;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls *t = must_create(&c);
        SSL_CTX *client = rig_client(&r, &r.client);
        SSL_CTX_set_max_proto_version(client, version);
        SSL_SESSION *session = session_with(t, client);
        struct hands h;
        hands_shake(&h, t, client, session);
        assert_true(h.is_done);
        assert_int_equal(SSL_session_reused(h.server), 1);
        const char *fault;
        char *name = tls_login_name(t, h.server, &fault);
        assert_string_equal(name, "CN=client,O=org");
        assert_true(tls_may_stay(t, h.server, &fault));
        free(name);
        hands_drop(&h);
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        tls_unref(t);
    }
    rig_down(&r);
}

TEST(a_resumed_session_does_not_outlive_its_certificate)
{
    struct rig r;
    rig_up(&r);
    struct somebody brief = cert_make(&(struct cert_wish){.subject = "CN=b", .from_s = -60, .until_s = 4}, &r.ca);
    struct tls_config c = r.config;
    c.verify_peer = c.needs_certificate = true;
    struct tls *t = must_create(&c);
    SSL_CTX *client = rig_client(&r, &brief);
    SSL_SESSION *session = session_with(t, client);
    /* waiting for a condition of the clock, not for luck */
    while (X509_cmp_current_time(X509_get0_notAfter(brief.x)) >= 0)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    struct hands h;
    hands_shake(&h, t, client, session);
    assert_true(h.is_done);
    assert_int_equal(SSL_session_reused(h.server), 1);
    const char *fault = NULL;
    assert_false(tls_may_stay(t, h.server, &fault));
    assert_string_equal(fault, "the certificate of the session has expired");
    hands_drop(&h);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_unref(t);
    cert_drop(&brief);
    rig_down(&r);
}

TEST(sessions_need_not_be_resumed)
{
    struct rig r;
    rig_up(&r);
    struct tls_config c = r.config;
    c.reuse_sessions = false;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls *t = must_create(&c);
        SSL_CTX *client = rig_client(&r, NULL);
        SSL_CTX_set_max_proto_version(client, version);
        SSL_SESSION *session = session_with(t, client);
        assert_false(resumes(t, client, session));
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        tls_unref(t);
    }
    rig_down(&r);
}

TEST(keys_of_tickets_turn)
{
    struct rig r;
    rig_up(&r);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls *t = must_create(&r.config);
        SSL_CTX *client = rig_client(&r, NULL);
        SSL_CTX_set_max_proto_version(client, version);
        SSL_SESSION *session = session_with(t, client);
        uint64_t now = clock_ms();
        tls_turn_keys(t, now + TLS_TICKET_KEY_MS / 2); /* too early */
        tls_turn_keys(t, now + TLS_TICKET_KEY_MS + 1000);
        assert_true(resumes(t, client, session)); /* by the last but one */
        tls_turn_keys(t, now + 2 * (TLS_TICKET_KEY_MS + 1000));
        assert_false(resumes(t, client, session));
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        tls_unref(t);
    }
    rig_down(&r);
}

TEST(after_a_long_silence_no_old_key_is_left)
{
    struct rig r;
    rig_up(&r);
    struct tls *t = must_create(&r.config);
    SSL_CTX *client = rig_client(&r, NULL);
    SSL_SESSION *session = session_with(t, client);
    tls_turn_keys(t, clock_ms() + 3 * (uint64_t)TLS_TICKET_KEY_MS);
    assert_false(resumes(t, client, session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_unref(t);
    rig_down(&r);
}

/* ---- New files. */

TEST(reloading_takes_new_files_and_ends_old_sessions)
{
    struct rig r;
    rig_up(&r);
    struct tls *t = must_create(&r.config);
    SSL_CTX *client = rig_client(&r, NULL);
    SSL_SESSION *session = session_with(t, client);
    assert_true(resumes(t, client, session));
    struct somebody next =
        cert_make(&(struct cert_wish){.subject = "CN=next", .from_s = -60, .until_s = 99L * CERT_DAY_S}, &r.ca);
    certs_write(r.folder, "server.pem", &next.x, 1);
    certs_write_key(r.folder, "server.key", next.key, NULL);
    time_t before = tls_expiry(t);
    struct tls *other = tls_reload(t);
    assert_ptr_not_equal(other, t);
    assert_true(tls_expiry(other) < before);
    struct hands h;
    hands_shake(&h, other, client, session);
    assert_true(h.is_done);
    assert_int_equal(SSL_session_reused(h.server), 0);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(h.client), next.x), 0);
    hands_drop(&h);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_unref(other);
    cert_drop(&next);
    rig_down(&r);
}

TEST(reloading_what_is_wrong_keeps_what_was_right)
{
    struct rig r;
    rig_up(&r);
    struct tls *t = must_create(&r.config);
    SSL_CTX *client = rig_client(&r, NULL);
    SSL_SESSION *session = session_with(t, client);
    certs_write(r.folder, "server.pem", &r.client.x, 1); /* does not fit the key */
    assert_ptr_equal(tls_reload(t), t);
    certs_write_text(r.folder, "server.pem", "half a certific");
    assert_ptr_equal(tls_reload(t), t);
    chmod(r.key, 0644);
    certs_write(r.folder, "server.pem", &r.server.x, 1);
    assert_ptr_equal(tls_reload(t), t);
    assert_true(resumes(t, client, session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_unref(t);
    rig_down(&r);
}

TEST(the_end_of_a_certificate_is_announced_once_a_stage)
{
    struct rig r;
    rig_up(&r);
    struct tls *t = must_create(&r.config);
    time_t end = tls_expiry(t);
    static const struct {
        int days_before;
        bool speaks;
    } cases[] = {{40, false}, {31, false}, {30, true}, {29, false}, {8, false},
                 {7, true},   {2, false},  {1, true},  {0, true},   {-1, false}};
    unsigned told = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(tls_warn_expiry(t, end - (time_t)cases[i].days_before * CERT_DAY_S, &told), cases[i].speaks);
    told = 0;
    assert_true(tls_warn_expiry(t, end - 3L * CERT_DAY_S, &told));
    tls_unref(t);
    rig_down(&r);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_NO_LEVEL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_that_cannot_be_read_is_named),
        cmocka_unit_test(who_asks_for_a_name_is_shown_the_certificate_that_has_it),
        cmocka_unit_test(each_file_that_is_something_else_is_named),
        cmocka_unit_test(keys_that_do_not_fit_or_can_be_seen_are_refused),
        cmocka_unit_test(an_encrypted_key_needs_its_password),
        cmocka_unit_test(what_makes_no_sense_together_is_refused),
        cmocka_unit_test(a_weak_certificate_of_our_own_is_refused),
        cmocka_unit_test(only_tls_1_2_and_1_3_are_spoken),
        cmocka_unit_test(ciphers_go_by_both_their_names),
        cmocka_unit_test(a_client_cannot_renegotiate),
        cmocka_unit_test(a_client_is_judged_by_its_certificate),
        cmocka_unit_test(depth_counts_what_is_between),
        cmocka_unit_test(who_was_revoked_stays_out),
        cmocka_unit_test(a_verified_certificate_says_who_it_is),
        cmocka_unit_test(sessions_are_resumed_with_who_it_was),
        cmocka_unit_test(a_resumed_session_does_not_outlive_its_certificate),
        cmocka_unit_test(sessions_need_not_be_resumed),
        cmocka_unit_test(keys_of_tickets_turn),
        cmocka_unit_test(after_a_long_silence_no_old_key_is_left),
        cmocka_unit_test(reloading_takes_new_files_and_ends_old_sessions),
        cmocka_unit_test(reloading_what_is_wrong_keeps_what_was_right),
        cmocka_unit_test(the_end_of_a_certificate_is_announced_once_a_stage),
    };
    return unit_main("tls", tests, argc, argv);
}
