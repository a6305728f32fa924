/* What evhttp has read becomes a request (request.h): path, body, who asks, and the handler that goes on with it. */
#ifndef BROKER_ADMIN_ARRIVAL_H
#define BROKER_ADMIN_ARRIVAL_H

#include "broker/admin/admin.h"

struct admin;
struct evhttp_request;

void arrival_begin(struct admin *a, enum entrance entrance, bool is_tls, struct evhttp_request *http);
#endif
