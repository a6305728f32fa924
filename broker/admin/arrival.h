/* What came by HTTP becomes a request (request.h): path, body, who asks, and the handler that goes on with it. */
#ifndef BROKER_ADMIN_ARRIVAL_H
#define BROKER_ADMIN_ARRIVAL_H

#include "broker/admin/http.h"

/* The hooks of http.h; for the first one arg is the administration. */
void arrival_on_head(void *admin, struct http_call *c);
void arrival_on_body(void *request, struct http_call *c);
void arrival_on_gone(void *request);
#endif
