/* The web page's files (broker/admin/ui/), as they were when the program was built: a table that scripts/embed makes,
 * no path is ever joined (reliability C25).
 */
#ifndef BROKER_ADMIN_ASSET_H
#define BROKER_ADMIN_ASSET_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct asset {
    const char *path; /* "index.html", "js/queues.js": without a slash before it */
    const char *type; /* "text/html; charset=utf-8" */
    const char *etag; /* with its quotes: of the content */
    const uint8_t *at;
    size_t size;
    const uint8_t *packed; /* the same by gzip */
    size_t packed_size;
};

/* "" is "index.html".  NULL: there is no such file. */
const struct asset *asset_find(struct bytes path);
#endif
