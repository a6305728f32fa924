#include "broker/admin/asset.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admin/asset_table.h"

static int by_path(const void *key, const void *member)
{
    const struct bytes *path = key;
    const struct asset *a = member;
    size_t len = strlen(a->path);
    int order = memcmp(path->at, a->path, path->len < len ? path->len : len);
    return order != 0 ? order : (path->len > len) - (path->len < len);
}

const struct asset *asset_find(struct bytes path)
{
    if (path.len == 0)
        path = BYTES("index.html");
    return bsearch(&path, asset_table, asset_count, sizeof asset_table[0], by_path);
}
