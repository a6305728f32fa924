/* What the API has: a table of routes, in routes.def, each with the tag that a user needs for it and its handler
 * (reference operations 1.8).
 *
 * A path's segment in braces stands for any one segment: {v} is a virtual host, for which // stands too.  Of routes
 * that fit a path the first one's path counts, with all methods that it has.
 */
#ifndef BROKER_ADMIN_API_H
#define BROKER_ADMIN_API_H

#include "broker/admin/request.h"

/* What a user must be at least.  Over the UNIX socket everybody is an administrator. */
enum tag { TAG_NONE, TAG_MANAGEMENT, TAG_POLICYMAKER, TAG_MONITORING, TAG_ADMINISTRATOR };

struct route {
    enum evhttp_cmd_type method;
    const char *path; /* without "/api/" */
    enum tag tag;
    request_fn *handle;
    bool wants_text; /* the body as it came, not as an object */
};

extern const struct route api_routes[];
extern const size_t api_routes_count;

/* The route for a path, which is cut into decoded segments, without the first, "api".  Fills in params.  NULL: there is
 * none for this method; *allowed says for which there is, 0: no such path. */
const struct route *api_find(enum evhttp_cmd_type method, const struct bytes *segments, unsigned n,
                             struct bytes *params, unsigned *n_params, unsigned *allowed);

/* Does that path fit the pattern?  Fills in params then. */
bool api_fits(const char *pattern, const struct bytes *segments, unsigned n, struct bytes *params, unsigned *n_params);

/* "HEAD, GET, PUT, OPTIONS", at most room bytes with the terminator. */
void api_print_methods(unsigned allowed, char *to, size_t room);

#define ROUTE(method, path, tag, handle) void handle(struct request *r);
#define ROUTE_TEXT ROUTE
#include "broker/admin/routes.def"
#undef ROUTE
#undef ROUTE_TEXT
#endif
