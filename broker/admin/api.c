#define _GNU_SOURCE
#include "broker/admin/api.h"

#include <stdio.h>
#include <string.h>

const struct route api_routes[] = {
#define ROUTE(method, path, tag, handle) {EVHTTP_REQ_##method, path, TAG_##tag, handle, false},
#define ROUTE_TEXT(method, path, tag, handle) {EVHTTP_REQ_##method, path, TAG_##tag, handle, true},
#include "broker/admin/routes.def"
#undef ROUTE
#undef ROUTE_TEXT
};

const size_t api_routes_count = sizeof api_routes / sizeof api_routes[0];

/* Does one segment fit?  *end is where its pattern ends. */
static bool fits_segment(const char *pattern, struct bytes segment, const char **end)
{
    *end = strchrnul(pattern, '/');
    if (*pattern == '{')
        return segment.len > 0 || strncmp(pattern, "{v}", sizeof "{v}" - 1) == 0;
    return bytes_equal(segment, bytes_of(pattern, (size_t)(*end - pattern)));
}

bool api_fits(const char *pattern, const struct bytes *segments, unsigned n, struct bytes *params, unsigned *n_params)
{
    const char *end = pattern;
    *n_params = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!fits_segment(pattern, segments[i], &end))
            return false;
        if (*pattern == '{')
            params[(*n_params)++] = segments[i].len > 0 ? segments[i] : BYTES("/");
        if (*end == '\0')
            return i + 1 == n;
        pattern = end + 1;
    }
    return false;
}

const struct route *api_find(enum evhttp_cmd_type method, const struct bytes *segments, unsigned n,
                             struct bytes *params, unsigned *n_params, unsigned *allowed)
{
    const struct route *found = NULL;
    const char *path = NULL;
    *allowed = 0;
    for (size_t i = 0; i < api_routes_count; i++) {
        const struct route *r = &api_routes[i];
        if (path != NULL ? strcmp(r->path, path) != 0 : !api_fits(r->path, segments, n, params, n_params))
            continue;
        path = r->path;
        *allowed |= (unsigned)r->method;
        if (r->method == method)
            found = r;
    }
    return found;
}

void api_print_methods(unsigned allowed, char *to, size_t room)
{
    snprintf(to, room, "%s%s%s%sOPTIONS", (allowed & EVHTTP_REQ_GET) != 0 ? "HEAD, GET, " : "",
             (allowed & EVHTTP_REQ_PUT) != 0 ? "PUT, " : "", (allowed & EVHTTP_REQ_POST) != 0 ? "POST, " : "",
             (allowed & EVHTTP_REQ_DELETE) != 0 ? "DELETE, " : "");
}
