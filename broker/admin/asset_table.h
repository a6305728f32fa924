/* What scripts/embed makes of broker/admin/ui/: sorted by path, for asset.c. */
#ifndef BROKER_ADMIN_ASSET_TABLE_H
#define BROKER_ADMIN_ASSET_TABLE_H

#include "broker/admin/asset.h"

extern const struct asset asset_table[];
extern const size_t asset_count;
#endif
