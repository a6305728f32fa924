/* Churn: connections, channels or queues that are made and ended again, as fast as the broker can, on one thread.
 *
 *   connections   --producers at once, each: TCP, TLS if it is wanted, the whole handshake, channel 1, and close, each
 *                 method answered before the next is sent.  The latency is that from dialling to the open channel.
 *   channels      --producers connections, on each CHURN_PIPELINE channels at once: opened, all answered, closed, all
 *                 answered.
 *   queues        --producers connections, each with CHURN_PIPELINE declares under way and then as many deletes, none
 *                 without its answer: queues that are exclusive and not durable, with names of their own, or with names
 *                 that the broker makes.
 *
 * An operation is all of that.  With --pmessages each of the --producers does so many, and then it is over.
 */
#ifndef BROKER_PERF_CHURN_H
#define BROKER_PERF_CHURN_H

#include "broker/perf/options.h"
#include "broker/perf/progress.h"
#include "broker/perf/result.h"

enum { CHURN_PIPELINE = 64 };

/* Fills r, which is new.  SIGINT and SIGTERM end it early; dies if nothing succeeds, with what the broker said. */
void churn_run(const struct perf_options *o, struct perf_result *r, struct perf_progress *progress);
#endif
