#define _GNU_SOURCE
#include "broker/net/peer.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/net/tls.h"
#include "broker/net/transport.h"
#include "codec/table.h"

void peer_init(struct peer *p, int fd, const struct address *from)
{
    *p = (struct peer){.from = *from, .to.len = sizeof p->to.storage};
    getsockname(fd, (struct sockaddr *)&p->to.storage, &p->to.len);
}

void peer_fini(struct peer *p)
{
    free(p->certificate_name);
    free(p->subject);
    free(p->issuer);
    free(p->validity);
    p->certificate_name = p->subject = p->issuer = p->validity = NULL;
}

void stranger_fini(struct stranger *s)
{
    s->transport->kind->destroy(s->transport);
    peer_fini(&s->peer);
}

/* ---- The words of Erlang's ssl, which listings of RabbitMQ show. */

static const char *name_of(int nid, const char *unknown)
{
    static const struct {
        int nid;
        const char *name;
    } names[] = {
        {NID_aes_128_gcm, "aes_128_gcm"},
        {NID_aes_256_gcm, "aes_256_gcm"},
        {NID_aes_128_ccm, "aes_128_ccm"},
        {NID_aes_256_ccm, "aes_256_ccm"},
        {NID_chacha20_poly1305, "chacha20_poly1305"},
        {NID_aes_128_cbc, "aes_128_cbc"},
        {NID_aes_256_cbc, "aes_256_cbc"},
        {NID_kx_ecdhe, "ecdhe"},
        {NID_kx_dhe, "dhe"},
        {NID_kx_rsa, "rsa"},
        {NID_auth_rsa, "rsa"},
        {NID_auth_ecdsa, "ecdsa"},
        {NID_sha1, "sha"},
        {NID_sha256, "sha256"},
        {NID_sha384, "sha384"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].nid == nid)
            return names[i].name;
    const char *name = OBJ_nid2sn(nid);
    return name != NULL && nid != NID_undef ? name : unknown;
}

static void learn_cipher(struct peer *p, const SSL *ssl)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    bool is_1_3 = SSL_version(ssl) == TLS1_3_VERSION;
    snprintf(p->protocol, sizeof p->protocol, "%s", is_1_3 ? "tlsv1.3" : "tlsv1.2");
    if (cipher == NULL)
        return;
    int kx = SSL_CIPHER_get_kx_nid(cipher), auth = SSL_CIPHER_get_auth_nid(cipher);
    snprintf(p->cipher, sizeof p->cipher, "%s", name_of(SSL_CIPHER_get_cipher_nid(cipher), "unknown"));
    if (is_1_3)
        snprintf(p->key_exchange, sizeof p->key_exchange, "any");
    else if (kx == NID_kx_rsa)
        snprintf(p->key_exchange, sizeof p->key_exchange, "rsa");
    else
        snprintf(p->key_exchange, sizeof p->key_exchange, "%.10s_%.10s", name_of(kx, "any"), name_of(auth, "any"));
    snprintf(p->hash, sizeof p->hash, "%s",
             SSL_CIPHER_is_aead(cipher) ? "aead" : name_of(SSL_CIPHER_get_digest_nid(cipher), "unknown"));
}

void peer_learn(struct peer *p, const struct tls *t, SSL *ssl)
{
    const X509 *x = SSL_get0_peer_certificate(ssl);
    p->is_tls = true;
    learn_cipher(p, ssl);
    p->certificate_name = tls_login_name(t, ssl, &p->certificate_fault);
    if (x == NULL)
        return;
    p->subject = certificate_subject(x);
    p->issuer = certificate_issuer(x);
    p->validity = certificate_validity(x);
}

/* ---- For the session. */

/* The address without its port; text: all of it. */
static struct bytes host_of(const struct address *a, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL && address_port(a) != 0 ? (size_t)(colon - text) : strlen(text);
    bool is_bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
    return is_bracketed ? bytes_of(text + 1, len - 2) : bytes_of(text, len);
}

static void put_host(struct pen *pen, const struct address *a, const char *text, const char *host, const char *port)
{
    table_put_string(pen, bytes_of_string(host), host_of(a, text));
    table_put_i64(pen, bytes_of_string(port), address_port(a));
}

static void put_text(struct pen *pen, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        table_put_string(pen, bytes_of_string(key), bytes_of_string(text));
}

static struct bytes facts_of(const struct peer *p, const char *from, const char *to, uint8_t room[PEER_FACTS_MAX])
{
    struct pen pen = pen_over(room, PEER_FACTS_MAX);
    put_host(&pen, &p->to, to, "host", "port");
    put_host(&pen, &p->from, from, "peer_host", "peer_port");
    table_put_bool(&pen, BYTES("ssl"), p->is_tls);
    put_text(&pen, "ssl_protocol", p->protocol);
    put_text(&pen, "ssl_cipher", p->cipher);
    put_text(&pen, "ssl_key_exchange", p->key_exchange);
    put_text(&pen, "ssl_hash", p->hash);
    put_text(&pen, "peer_cert_subject", p->subject);
    put_text(&pen, "peer_cert_issuer", p->issuer);
    put_text(&pen, "peer_cert_validity", p->validity);
    return pen.full ? bytes_of(NULL, 0) : pen_written(&pen);
}

struct session_peer peer_for_session(const struct peer *p, struct peer_room *room)
{
    char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
    address_format(&p->from, from);
    address_format(&p->to, to);
    stpcpy(stpcpy(stpcpy(room->name, from), " -> "), to);
    address_group(&p->from, room->place);
    return (struct session_peer){
        .name = room->name,
        .is_loopback = address_is_loopback(&p->from) && !p->is_hidden,
        .is_tls = p->is_tls,
        .place = bytes_of(room->place, sizeof room->place),
        .certificate_name = p->certificate_name,
        .certificate_fault = p->certificate_name != NULL ? NULL
                             : p->is_tls                 ? p->certificate_fault
                                                         : "not a TLS-enabled connection",
        .facts = facts_of(p, from, to, room->facts),
    };
}
