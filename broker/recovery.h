/* What the last run left: opens the store in a data folder, or begins one, and makes a broker with what is in it.
 */
#ifndef BROKER_RECOVERY_H
#define BROKER_RECOVERY_H

#include "broker/model/broker.h"
#include "broker/store/disk.h"
#include "broker/store/store.h"

enum { RECOVERY_SEGMENTS_MIN = 32, RECOVERY_SEGMENT_BYTES_MIN = 1 << 20 };

/* Who wants to know how far it is: bytes of the journal, then definitions and queues (total 0: nobody knows how many).
 */
struct recovery_witness {
    void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
    void *arg;
};

/* What there is now.  The store goes on telling the recovery what it cannot read. */
struct recovery {
    struct disk *disk;     /* owned */
    struct losses *losses; /* owned */
    struct store *store;   /* the caller's */
    struct broker *broker; /* the caller's */
    bool is_over;
    const struct recovery_witness *witness; /* borrowed; NULL: nobody wants to know */
    uint64_t definitions[DEFINE_CLASSES], messages, bytes, refused;
};

/* data_dir/store is the store's folder.  0; or an exit status (sysexits) after saying why on standard error, and then
 * nothing is left to destroy.  config->records is not looked at.  told: of its progress; NULL is allowed. */
int recovery_init(struct recovery *r, const char *data_dir, const struct broker_config *config,
                  void (*random)(void *to, size_t n), const struct recovery_witness *told);

/* After the store's end. */
void recovery_fini(struct recovery *r);
#endif
