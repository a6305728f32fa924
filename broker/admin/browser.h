/* What answers say to browsers, and what browsers may do (reference operations 1.7, reliability C23).
 *
 * Nothing here depends on a cookie: there are none.  But browsers keep a user's password for an origin, and send it
 * with whatever another site's page makes them ask; so what changes something is refused when a page of another origin
 * asks for it, unless the configuration names that origin.  Tools send no Origin, and are not concerned.
 */
#ifndef BROKER_ADMIN_BROWSER_H
#define BROKER_ADMIN_BROWSER_H

#include "broker/admin/request.h"

/* Headers that every answer has, as far as it has no such header yet. */
void browser_add_headers(struct request *r);

/* Answers a preflight (OPTIONS) with the methods that there are: "GET, PUT". */
void browser_add_preflight(struct request *r, const char *methods);

/* May whoever asks change something?  False: it was answered. */
bool browser_check_origin(struct request *r);
#endif
