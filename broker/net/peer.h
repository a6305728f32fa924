/* Who is at the other end of a connection, as far as that is known before it has a session. */
#ifndef BROKER_NET_PEER_H
#define BROKER_NET_PEER_H

#include <stdbool.h>

#include "amqp/session.h"
#include "base/lane.h"
#include "broker/net/address.h"

struct ssl_st;
struct tls;
struct transport;

enum { PEER_FACTS_MAX = 4096, PEER_WORD_MAX = 32, PEER_NAME_MAX = 2 * ADDRESS_TEXT_MAX + 8 };

struct peer {
    struct address from, to; /* as they count: the socket's, or those that a PROXY header has stated */
    bool is_tls;
    bool is_hidden; /* a proxy that should say where it is did not: wherever the proxy is, this is no loopback */
    char *certificate_name;        /* owned: who its certificate says that it is */
    const char *certificate_fault; /* … or why that is unknown: a text that stays */
    char protocol[PEER_WORD_MAX], cipher[PEER_WORD_MAX], key_exchange[PEER_WORD_MAX], hash[PEER_WORD_MAX];
    char *subject, *issuer, *validity; /* owned: of its certificate; NULL: there is none */
};

void peer_init(struct peer *p, int fd, const struct address *from);
void peer_fini(struct peer *p);

/* What a handshake that is over has shown. */
void peer_learn(struct peer *p, const struct tls *t, struct ssl_st *ssl);

/* What a session wants to know; room: where it may point to besides p. */
struct peer_room {
    char name[PEER_NAME_MAX];
    uint8_t place[ADDRESS_GROUP_BYTES];
    uint8_t facts[PEER_FACTS_MAX];
};
struct session_peer peer_for_session(const struct peer *p, struct peer_room *room);

/* A connection on its way to its loop. */
struct stranger {
    struct parcel parcel;        /* PARCEL_STRANGER */
    struct transport *transport; /* owned */
    struct peer peer;
    uint64_t came_ms; /* when it was accepted: what it may take before it has logged in counts from there */
};

/* Closes it; s itself stays. */
void stranger_fini(struct stranger *s);
#endif
