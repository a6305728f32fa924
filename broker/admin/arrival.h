/* What came by HTTP becomes a request (request.h): path, body, who asks, and the handler that goes on with it. */
#ifndef BROKER_ADMIN_ARRIVAL_H
#define BROKER_ADMIN_ARRIVAL_H

#include "broker/admin/http.h"

enum { ARRIVAL_VALUES_MAX = 1 << 16 }; /* in a body that is parsed here: definitions.h has larger ones */

/* The hooks of http.h; for the first one arg is the administration. */
void arrival_on_head(void *admin, struct http_call *c);
void arrival_on_body(void *request, struct http_call *c);
void arrival_on_gone(void *request);
#endif
