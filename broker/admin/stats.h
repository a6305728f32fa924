/* Numbers as the API shows them: X, and X_details with its rate and, if the query asks for that, its history (reference
 * operations 1.6). */
#ifndef BROKER_ADMIN_STATS_H
#define BROKER_ADMIN_STATS_H

#include <jansson.h>

#include "broker/admin/rates.h"
#include "broker/admin/request.h"

/* What is known of the object whose `statistics` (port/inspection.h) those are; NULL: nothing. */
const struct rates_object *stats_find(const struct request *r, unsigned kind, const json_t *statistics);

/* Adds NAME_details; now is what NAME says. */
void stats_set_details(const struct request *r, json_t *to, const char *name, const struct rates_object *o,
                       uint64_t columns, uint64_t now, struct rates_range range);

/* Adds NAME and NAME_details. */
void stats_set(const struct request *r, json_t *to, const char *name, const struct rates_object *o, uint64_t columns,
               uint64_t now, struct rates_range range);

/* A time per operation in ms: microseconds of so many operations, by their columns and now. */
struct stats_average {
    uint64_t us_column, us, count_column, count;
};
void stats_set_average(const struct request *r, json_t *to, const char *name, const struct rates_object *o,
                       struct stats_average a, struct rates_range range);

/* Adds the details of messages, messages_ready and messages_unacknowledged, which are there. */
void stats_set_lengths(const struct request *r, json_t *to, const struct rates_object *o);

/* Adds message_stats, if it has seen traffic, or is the broker: what goes together is there together. */
void stats_set_messages(const struct request *r, json_t *to, unsigned kind, const json_t *statistics,
                        const struct rates_object *o);

/* Adds idle_since, if it has stood still for a round. */
void stats_set_idle(const struct request *r, json_t *to, const struct rates_object *o);

/* A rate alone. */
double stats_rate(const struct request *r, const struct rates_object *o, uint64_t columns);

/* An integer of an object; 0: it has none. */
uint64_t stats_number(const json_t *object, const char *name);

#define STATS_BIT(id) RATES_BIT(COUNT_##id)
#define STATS_DELIVER_GET (STATS_BIT(DELIVER) | STATS_BIT(DELIVER_NO_ACK) | STATS_BIT(GET) | STATS_BIT(GET_NO_ACK))
#endif
