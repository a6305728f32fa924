/* What a scrape says of the process, its journal and its alarms, as members of one object beside the columns of
 * INSPECT_TOTALS; metrics.def names them.  A histogram is an array: its buckets, then the sum. */
#ifndef BROKER_ADMIN_METRICS_FACTS_H
#define BROKER_ADMIN_METRICS_FACTS_H

#include <event2/buffer.h>
#include <jansson.h>

#include "broker/admin/request.h"

void metrics_facts_add(struct request *r, json_t *facts);

/* rabbitmq_build_info and rabbitmq_identity_info, exactly one series each; endpoint: "aggregated". */
void metrics_facts_identify(const struct request *r, const char *endpoint, struct evbuffer *to);

/* The answer of /metrics/memory-breakdown, behind that. */
void metrics_facts_print_memory(struct request *r, struct evbuffer *to);
#endif
