/* What a connection goes through before it can have a session: who it is by the word of a proxy, and a TLS handshake.
 * On a thread of its own, so that handshakes, which cost a thousand times what a message costs, stall nobody.
 *
 *     accepted → [PROXY header] → [first byte] → [TLS handshake] → passed on, or told why not and closed
 *
 * It is bounded like a loop's door: so many connections at once and from one place, the oldest go first, and each has
 * its deadline, whatever it sends.  One that has not sent its first byte holds no memory of OpenSSL's.
 */
#ifndef BROKER_NET_GREETER_H
#define BROKER_NET_GREETER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/net/address.h"
#include "broker/net/peer.h"

struct greeter;
struct tls;
struct tls_facts;

enum {
    GREETER_LINGER_MS = 1000,    /* a peer that was refused may still read why */
    GREETER_PLAIN_BYTES_MAX = 8, /* of what is no TLS, for the log */
};

/* What is borrowed lives as long as the greeter. */
struct greeter_config {
    struct tls *tls;                     /* taken over; NULL: no listener has TLS */
    uint64_t handshake_ms;               /* from accept to the end of what happens here … */
    uint64_t tls_handshake_ms;           /* … where TLS is part of it */
    const struct address_range *proxies; /* borrowed: who may say for whom it speaks */
    unsigned n_proxies;
    void (*pass)(void *arg, struct stranger *s); /* on the greeter's thread: takes over what is in it */
    void (*gone)(void *arg);                     /* likewise: one that was not passed has been closed */
    void *arg;                                   /* borrowed: for both */
};

/* What a listener promises. */
struct greeting {
    bool is_tls, has_proxy;
};

/* Starts its thread, which takes no signals. */
struct greeter *greeter_create(const struct greeter_config *config);

/* Ends the thread, and closes what was not passed on yet. */
void greeter_stop(struct greeter *g);
void greeter_destroy(struct greeter *g); /* stops it if need be; NULL is allowed */

/* The rest is for any thread.  Takes over fd, which is non-blocking and was accepted just now. */
void greeter_take(struct greeter *g, int fd, const struct address *from, struct greeting how);

/* False: whoever wants in had better wait outside. */
bool greeter_has_room(const struct greeter *g);

/* How many are here, or on their way. */
unsigned greeter_guests(const struct greeter *g);

/* Reads the certificates again (tls_reload); for handshakes that begin after that. */
void greeter_reload(struct greeter *g);

/* When the certificate in use ends, in seconds since 1970; INT64_MAX: there is none.  Any thread. */
int64_t greeter_expiry(const struct greeter *g);

/* What it says of that certificate (tls.h); false: there is none.  Any thread. */
bool greeter_describe(struct greeter *g, struct tls_facts *to);
#endif
