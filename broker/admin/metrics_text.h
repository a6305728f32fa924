/* The text format 0.0.4: heads, series, numbers. */
#ifndef BROKER_ADMIN_METRICS_TEXT_H
#define BROKER_ADMIN_METRICS_TEXT_H

#include <event2/buffer.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "broker/admin/metrics.h"

enum {
    METRICS_NAME_MAX = 128,
    METRICS_ESCAPE_MAX = 5 /* bytes that one may become */
};

/* "rabbitmq_detailed_queue_messages"; of the cluster's and the process's there is no detailed form. */
void metrics_text_name(char to[METRICS_NAME_MAX], const char *name, bool is_detailed);

/* HELP and TYPE. */
void metrics_text_head(struct evbuffer *to, const char *name, const char *type, const char *help);

/* A label's value: what could end it is escaped, and what is no UTF-8, or a control character, is shown as \xHH, for
 * names are their makers' to choose.  Answers the end; room for METRICS_ESCAPE_MAX a byte. */
char *metrics_text_escape(char *to, struct bytes value);

/* name{labels} value: labels as they are printed, or "". */
void metrics_text_series(struct evbuffer *to, const char *name, const char *labels, double value);

/* A number of a scrape: what the expression (metrics.def) makes of the object's members, 0 for what is not there. */
double metrics_number(const json_t *facts, const char *source);

/* Everything but objects' series: head and series. */
void metrics_text_print(struct evbuffer *to, const struct metric *m, const json_t *facts, bool is_detailed);
#endif
