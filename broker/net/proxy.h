/* The PROXY protocol, versions 1 (a line of text) and 2 (binary): what a load balancer says about the client that it
 * speaks for, before the first byte of that client (proxy-protocol.txt of HAProxy, 2020).
 *
 * Pure: reads what it is given, and nothing says more than once what is in it.  Only peers that the configuration lists
 * may be asked for a header; anybody can claim to be anybody here.
 */
#ifndef BROKER_NET_PROXY_H
#define BROKER_NET_PROXY_H

#include <stddef.h>

#include "base/bytes.h"
#include "broker/net/address.h"

enum proxy_verdict {
    PROXY_MORE,  /* a beginning of a header: come again with more */
    PROXY_FINE,  /* from and to are the addresses that it states */
    PROXY_LOCAL, /* a header without addresses: the proxy speaks for itself, or its client has none that counts here */
    PROXY_BAD,   /* no header, nor the beginning of one */
};

enum {
    PROXY_HEADER_MAX = 4096, /* a longer one is bad, and known to be as soon as it says how long it is */
    PROXY_LINE_MAX = 107,    /* of version 1, its line end included */
};

/* Reads the header that in begins with.  PROXY_FINE and PROXY_LOCAL: it had *used bytes, and what follows is the
 * client's; otherwise *used is 0.  from and to are written for PROXY_FINE alone.
 *
 * Version 2: a CRC32C is checked if there is one; other additions are skipped, but must be well formed.  Addresses of
 * UNIX sockets are read over and count as none. */
enum proxy_verdict proxy_read(struct bytes in, size_t *used, struct address *from, struct address *to);
#endif
