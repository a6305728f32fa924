/* What is served outside /api/ (site.def): health for probes, metrics, the web page's files, redirections. */
#ifndef BROKER_ADMIN_SITE_H
#define BROKER_ADMIN_SITE_H

#include "broker/admin/api.h"

/* An entry of site.def, which is looked up like a route. */
struct site {
    struct route route; /* its tag: TAG_MONITORING, or TAG_NONE for what is open to everybody */
    unsigned entrances; /* enum entrance, or-ed: where it is served */
};

/* The entry for a path, likewise api_find(); it must be served at that entrance. */
const struct route *site_find(enum entrance entrance, enum evhttp_cmd_type method, const struct bytes *segments,
                              unsigned n, struct bytes *params, unsigned *n_params, unsigned *allowed);

/* What is left: a file of the page, a redirection, or 404.  path: raw, without the slash before it. */
void site_serve(struct request *r, struct bytes path);

#define SITE(method, path, entrances, handle) void handle(struct request *r);
#define SITE_OPEN SITE
#include "broker/admin/site.def"
#undef SITE
#undef SITE_OPEN
#endif
