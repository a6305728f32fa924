/* What the two halves of recovery share: recover_files.c finds the files, recover.c makes an image of them.  Private to
 * broker/store/. */
#ifndef BROKER_STORE_RECOVER_H
#define BROKER_STORE_RECOVER_H

#include "broker/store/state.h"

/* Of a file.  Those that are named by the store go on behind half of that at most, so there is always a next one. */
#define RECOVER_NUMBER_MAX (UINT64_MAX / 2)

struct found_file {
    uint64_t number, size;
    struct file_header header;
    enum header_verdict verdict;
    bool is_unwritten; /* a spare that got its name and nothing else */
    bool is_guessed;   /* the header, from its items */
};

struct found_files {
    struct found_file *at; /* owned, by number */
    size_t n, capacity;
};

enum found_kind { FOUND_JOURNAL, FOUND_PACK, FOUND_CHECKPOINT_A, FOUND_CHECKPOINT_B, FOUND_SPARE, FOUND_KINDS };

extern const char *const recover_kind_names[FOUND_KINDS];

struct recovery {
    struct store *s;
    struct found_files files[FOUND_KINDS];
    unsigned foreign;
    uint64_t highest; /* number that any file bears as a segment of the journal, whatever its name is now */

    /* First pass. */
    uint64_t durable; /* the highest LSN that any BATCH calls durable */
    uint64_t end;     /* what comes from here on is not read: it was not durable, and something before it is missing */

    /* Both. */
    uint64_t expected; /* LSN of the next item */
    uint64_t seen;     /* the highest of all that there are */
    bool is_second;
    bool has_lost;      /* items that nobody can tell anything of */
    bool has_more;      /* something happened after the checkpoint */
    bool is_sealed;     /* the last item was an END: another segment must follow */
    uint8_t newer;      /* type of an item that must not be passed by, and is not known; 0: none */
    struct tx_item *tx; /* owned: items that wait for their COMMIT */
    size_t n_tx, tx_room;
    uint64_t last_batch; /* LSN of the last BATCH so far */
    struct gap *gaps;    /* owned: what is missing */
    size_t n_gaps, gaps_room;
};

struct gap {
    uint64_t lsn, batch; /* of the first item that is missing, and of the last BATCH before it */
};

struct tx_item {
    uint8_t type;
    bool is_bad_body;
    uint64_t segment, offset;
    struct bytes meta; /* owned */
};

/* Lists the files by kind and number, and reads their headers.  *text says what is newer than this program. */
enum store_verdict recover_find_files(struct recovery *r, char **text);

/* A segment without a header was damaged, or never synced: the latter are known for unwritten from here on. */
void recover_doubt_guesses(struct recovery *r);

const struct found_file *recover_found(const struct found_files *f, uint64_t number); /* NULL: there is none */
bool recover_journal_is_complete(const struct recovery *r);
uint64_t recover_first_segment(const struct found_files *f);
#endif
