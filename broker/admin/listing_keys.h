/* A page of a long list of queues, found by keys: of each queue its name and the one number or name that the list is
 * sorted by, from brief rows (port/inspection.h).  Only the rows of the page are then asked for as a whole, so a page
 * of 100,000 queues costs no more than looking at their names.
 */
#ifndef BROKER_ADMIN_LISTING_KEYS_H
#define BROKER_ADMIN_LISTING_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "broker/admin/rates.h"
#include "broker/port/inspection.h"

struct listing_keys;
struct pattern;

enum { LISTING_KEYS_FAILURES_MAX = 100 /* names at which a pattern may give up */ };

/* sort: the path of the query; NULL: by virtual host and name, which also decides between equals.  rates: borrowed, may
 * be NULL.  NULL: keys do not say what that is, only whole rows do. */
struct listing_keys *listing_keys_create(const char *sort, bool is_reversed, const struct rates *rates);
void listing_keys_destroy(struct listing_keys *k); /* NULL is allowed */

/* What brief rows are to count (struct inspection). */
uint32_t listing_keys_counters(const struct listing_keys *k);

/* The rows that follow are of that virtual host. */
void listing_keys_enter(struct listing_keys *k, struct bytes vhost);

/* Takes those whose names match: the pattern, or contain the text, whatever the case of its letters; both may be NULL.
 * False: the pattern has given up too often. */
bool listing_keys_take(struct listing_keys *k, const struct inspection *page, const char *filter,
                       struct pattern *pattern, uint64_t now_ms);

/* All, and those that were taken. */
size_t listing_keys_total(const struct listing_keys *k);
size_t listing_keys_count(const struct listing_keys *k);

/* Once all are there: puts them in order, and asks for those from that one on, at most n (INSPECTION_NAMES_MAX).  The
 * caller owns it. */
struct inspection *listing_keys_page(struct listing_keys *k, size_t from, size_t n);
#endif
