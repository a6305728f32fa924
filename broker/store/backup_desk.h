/* Where backups of a running broker are asked for: a file in its data folder, until there is a better way.
 *
 * Whoever wants one renames a file to "backup.request" whose only line is the path of the copy, which must be absolute
 * and not exist.  The broker takes it away, and when it is done there is "backup.done" or "backup.failed": the same
 * path on the first line, and on the second what there is to say.  millrace-store does that, as millracectl will.
 */
#ifndef BROKER_STORE_BACKUP_DESK_H
#define BROKER_STORE_BACKUP_DESK_H

#include <stdbool.h>

#include "broker/store/disk.h"

struct store;
struct backup_desk;

/* Both are of the journal thread; copying has a thread of its own.  The disk is the store's, and borrowed. */
struct backup_desk *backup_desk_create(const char *data_dir, struct disk *disk, struct store *s);
void backup_desk_destroy(struct backup_desk *d); /* after the end; NULL is allowed */

/* Looks whether there is something to do: once a second is often enough. */
void backup_desk_tend(struct backup_desk *d);

/* Gives up what is under way, while the store is still there, and does nothing any more. */
void backup_desk_end(struct backup_desk *d);
#endif
