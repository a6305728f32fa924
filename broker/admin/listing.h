/* Lists: pages of the model's rows, gathered, each shaped to JSON as the API shows it (reference operations 1.5, 1.9),
 * and answered as one array: in order, or the page, the columns that were asked for.
 *
 * Only one row at a time is a tree; a row that was taken is kept as its text.
 */
#ifndef BROKER_ADMIN_LISTING_H
#define BROKER_ADMIN_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/admin/request.h"

enum {
    LISTING_BYTES_MAX = 256 << 20, /* text of all rows of one answer */
    LISTING_SOURCES_MAX = 2,
    LISTING_PAGE_SIZE = 100,
    LISTING_PAGE_SIZE_MAX = 500
};

struct listing;

/* What is listed: one kind of rows or two; per virtual host, if the model wants one named. */
struct listing_plan {
    struct {
        enum inspection_kind what;
        json_t *(*shape)(struct request *r, json_t *row); /* takes the row; answers what to show, NULL: nothing */
    } sources[LISTING_SOURCES_MAX];
    bool is_by_vhost;
    const struct bytes *vhost; /* borrowed from the request; NULL: of all */
    const struct bytes *name;  /* likewise: only those (port/inspection.h) */
    bool or_nothing;           /* a virtual host that is not there has no rows; else that is 404 */
    bool keep;                 /* for `done`: rows stay trees */
    request_fn *done;          /* NULL: answers the list */
};

/* Gathers, then calls plan->done.  404 if the virtual host is not there. */
void listing_begin(struct request *r, const struct listing_plan *plan);

/* With keep: the rows; borrowed.  They are dropped when another listing begins, or the request ends. */
json_t *listing_rows(const struct request *r);

/* For plan->done of what there is one of: answers the only row, or 404. */
void listing_answer_one(struct request *r);

/* An object's columns that were asked for; takes it. */
json_t *listing_project(struct request *r, json_t *object);

/* Answers an object, which is taken, with the columns that were asked for. */
void listing_answer_object(struct request *r, json_t *object);

void listing_destroy(struct listing *l); /* NULL is allowed */
#endif
