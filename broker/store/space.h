/* When the file system has too little room left for the broker to take more messages (reliability D25). */
#ifndef BROKER_STORE_SPACE_H
#define BROKER_STORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#define SPACE_LIMIT_MIN ((uint64_t)1 << 30)         /* of the default limit, but on small file systems */
#define SPACE_LIMIT_MAX ((uint64_t)5 << 30)         /* likewise */
#define SPACE_LIMIT_LEAST ((uint64_t)50 * 1000000)  /* RabbitMQ's default */
#define SPACE_SMALL_FILE_SYSTEM ((uint64_t)4 << 30) /* the default limit is at most a quarter of it */
#define SPACE_CLEAR_MAX ((uint64_t)64 << 20)        /* above a limit that was chosen, before the alarm clears */

struct space {
    uint64_t limit;
    bool is_chosen; /* by the operator, not by the size of the file system */
    bool is_low;
    uint64_t available; /* when it was last judged */
};

/* The limit that nobody has chosen, for a file system of so many bytes. */
uint64_t space_default_limit(uint64_t total);

/* The same for one of which so much is available as the broker starts.  Where there was little to begin with, being
 * blocked from the first message on helps nobody: half of it is kept, or SPACE_LIMIT_LEAST. */
uint64_t space_limit_at_start(uint64_t total, uint64_t available);

/* So much is available now.  True: is_low has changed by it. */
bool space_judge(struct space *s, uint64_t available);
#endif
