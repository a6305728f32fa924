/* Addresses of sockets, as people write them and as clients are counted by them. */
#ifndef BROKER_NET_ADDRESS_H
#define BROKER_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = 128, ADDRESS_GROUP_BYTES = 9 };

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* "127.0.0.1:5672", "[::1]:5672"; an IPv4 address that came over an IPv6 socket is written as IPv4.
 * "unix:/run/x.sock"; "unix:" is the side of a UNIX socket that has no name, as clients have none. */
void address_format(const struct address *a, char text[ADDRESS_TEXT_MAX]);

uint16_t address_port(const struct address *a);
/* From this machine; so is who comes over a UNIX socket, since the file's mode says who may. */
bool address_is_loopback(const struct address *a);
bool address_is_unix(const struct address *a);

/* What clients of one place have in common: an IPv4 address, or the first 64 bits of an IPv6 one.  All UNIX sockets are
 * one place. */
void address_group(const struct address *a, uint8_t group[ADDRESS_GROUP_BYTES]);

/* Addresses that begin with the same bits: "10.0.0.0/8", "fd00::/8"; without a slash just that one. */
struct address_range {
    bool is_v4;
    uint8_t bits; /* of host */
    uint8_t host[16];
};

/* False: text is no range.  What comes behind the bits must be zero: "10.1.2.3/8" could mean two things.  IPv4 in
 * IPv6's clothes ("::ffff:10.0.0.0/104") is IPv4, and "::/0" is all of IPv6 and nothing of IPv4. */
bool address_range_parse(const char *text, struct address_range *r);

/* An IPv4 address that came over an IPv6 socket counts as IPv4; what is no internet address is in no range. */
bool address_is_in(const struct address *a, const struct address_range *r);

/* Splits "5672", "127.0.0.1:5672", "localhost:5672", "[::1]:5672" or ":::5672" (RabbitMQ's way to write [::]:5672) into
 * host, which is "" for any address, and port.  False if it is none of these. */
bool address_split(const char *text, char host[ADDRESS_TEXT_MAX], uint16_t *port);
#endif
