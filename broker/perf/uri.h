/* AMQP URIs: amqp://user:password@host:port/vhost, as https://www.rabbitmq.com/uri-spec.html has them.
 *
 * Each part may be left out: then it is guest, guest, 127.0.0.1, 5672 (5671 for amqps) and "/".  A path that is there
 * but empty ("amqp://host/") is the vhost "".  Parts are percent-decoded; an address of IPv6 stands in brackets.
 */
#ifndef BROKER_PERF_URI_H
#define BROKER_PERF_URI_H

#include <stdbool.h>

struct perf_uri {
    bool is_tls;
    unsigned port;
    char *user, *password, *host, *vhost; /* owned */
};

/* NULL, or what is wrong with it, a literal; then nothing is to be freed. */
const char *perf_uri_read(struct perf_uri *uri, const char *text);
void perf_uri_fini(struct perf_uri *uri);
#endif
