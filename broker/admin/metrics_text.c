#define _GNU_SOURCE
#include "broker/admin/metrics_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/histogram.h"
#include "base/utf8.h"
#include "broker/admin/json.h"

static const char *const type_keys[] = {"classic", "quorum", "stream"};
static const char *const type_labels[] = {"rabbit_classic_queue", "rabbit_quorum_queue", "rabbit_stream_queue"};
enum { QUEUE_TYPES = sizeof type_keys / sizeof type_keys[0] };

/* ---- Names and numbers. */

void metrics_text_name(char to[METRICS_NAME_MAX], const char *name, bool is_detailed)
{
    const char *rest = strchrnul(name, '_');
    bool has_form = (strncmp(name, "rabbitmq_", sizeof "rabbitmq_" - 1) == 0 ||
                     strncmp(name, "millrace_", sizeof "millrace_" - 1) == 0) &&
                    strncmp(rest, "_cluster_", sizeof "_cluster_" - 1) != 0;
    snprintf(to, METRICS_NAME_MAX, "%.*s%s%s", (int)(rest - name), name, is_detailed && has_form ? "_detailed" : "",
             rest);
}

void metrics_text_head(struct evbuffer *to, const char *name, const char *type, const char *help)
{
    evbuffer_add_printf(to, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

char *metrics_text_escape(char *to, struct bytes value)
{
    enum { DELETE = 0x7f };
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0, len; i < value.len; i += len) {
        uint8_t c = value.at[i];
        len = utf8_length(bytes_of(value.at + i, value.len - i));
        if (c == '\\' || c == '"' || c == '\n') {
            *to++ = '\\';
            *to++ = (char)(c == '\n' ? 'n' : c);
        } else if (len == 0 || c < ' ' || c == DELETE) {
            len = 1;
            memcpy(to, "\\\\x", 3);
            to[3] = digits[c >> 4];
            to[4] = digits[c & 0xf];
            to += METRICS_ESCAPE_MAX;
        } else {
            memcpy(to, value.at + i, len);
            to += len;
        }
    }
    *to = '\0';
    return to;
}

void metrics_text_series(struct evbuffer *to, const char *name, const char *labels, double value)
{
    const double exact = 1e15;
    enum { ROOM = 32 };
    char text[ROOM];
    if (isnan(value))
        snprintf(text, sizeof text, "NaN");
    else if (fabs(value) < exact && value == (double)(int64_t)value)
        snprintf(text, sizeof text, "%.0f", value);
    else
        snprintf(text, sizeof text, "%.9g", value);
    evbuffer_add_printf(to, *labels != '\0' ? "%s{%s} %s\n" : "%s%s %s\n", name, labels, text);
}

/* ---- Where numbers come from. */

static double number_of(const json_t *value)
{
    return json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
}

/* "queues", or "types.ack": of all types together. */
static double one_number(const json_t *facts, const char *key)
{
    if (strncmp(key, "types.", sizeof "types." - 1) != 0)
        return number_of(json_object_get(facts, key));
    double sum = 0;
    for (unsigned i = 0; i < QUEUE_TYPES; i++)
        sum += number_of(json_object_get(json_object_get(facts, type_keys[i]), key + sizeof "types." - 1));
    return sum;
}

double metrics_number(const json_t *facts, const char *source)
{
    double sum = 0;
    for (const char *at = source; *at != '\0';) {
        char key[METRICS_NAME_MAX];
        size_t len = strcspn(at, "+");
        snprintf(key, sizeof key, "%.*s", (int)len, at);
        sum += one_number(facts, key);
        at += len + (at[len] == '+');
    }
    return sum;
}

/* ---- Series of more than one. */

static void print_types(struct evbuffer *to, const struct metric *m, const char *name, const json_t *facts)
{
    for (unsigned i = 0; i < QUEUE_TYPES; i++) {
        char labels[METRICS_NAME_MAX];
        snprintf(labels, sizeof labels, "protocol=\"amqp091\",queue_type=\"%s\"", type_labels[i]);
        metrics_text_series(to, name, labels, metrics_number(json_object_get(facts, type_keys[i]), m->source));
    }
}

static void print_letter(struct evbuffer *to, const char *name, unsigned type, const char *strategy, double value)
{
    char labels[METRICS_NAME_MAX];
    snprintf(labels, sizeof labels, "queue_type=\"%s\",dead_letter_strategy=\"%s\"", type_labels[type], strategy);
    metrics_text_series(to, name, labels, value);
}

static double letters_of(const json_t *type, const char *strategy, const char *reason)
{
    char key[METRICS_NAME_MAX];
    snprintf(key, sizeof key, "dead_lettered_%s%s", strategy, reason);
    return number_of(json_object_get(type, key));
}

/* Streams have no dead letters, and only quorum queues wait for their arrival. */
static void print_letters(struct evbuffer *to, const struct metric *m, const char *name, const json_t *facts)
{
    bool is_arrival = strcmp(m->source, "confirmed") == 0;
    for (unsigned i = 0; i < QUEUE_TYPES - 1; i++) {
        const json_t *type = json_object_get(facts, type_keys[i]);
        double all = letters_of(type, "", m->source), waited = letters_of(type, "at_least_once_", m->source);
        if (is_arrival)
            waited = all;
        if (i > 0)
            print_letter(to, name, i, "at_least_once", waited);
        if (is_arrival)
            continue;
        print_letter(to, name, i, "at_most_once", all - waited);
        print_letter(to, name, i, "disabled", letters_of(type, "disabled_", m->source));
    }
}

static void print_logins(struct evbuffer *to, const struct metric *m, const char *name, const json_t *facts)
{
    static const char *const protocols[] = {"amqp091", "http"};
    char key[METRICS_NAME_MAX], labels[METRICS_NAME_MAX];
    snprintf(key, sizeof key, "%s_by_protocol", m->source);
    for (unsigned i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        snprintf(labels, sizeof labels, "protocol=\"%s\"", protocols[i]);
        metrics_text_series(to, name, labels, number_of(json_object_get(json_object_get(facts, key), protocols[i])));
    }
}

/* Facts have it as an array: the buckets of a base/histogram.h of microseconds, then the sum. */
static void print_histogram(struct evbuffer *to, const struct metric *m, const char *name, const json_t *facts)
{
    enum { SMALLEST = 4, LARGEST = 25 }; /* 16 us; 33 s */
    const double second_us = 1e6;
    const json_t *buckets = json_object_get(facts, m->source);
    char series[METRICS_NAME_MAX + sizeof "_bucket"], labels[METRICS_NAME_MAX];
    double seen = 0;
    snprintf(series, sizeof series, "%s_bucket", name);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += number_of(json_array_get(buckets, i));
        if (i < SMALLEST || i > LARGEST)
            continue;
        snprintf(labels, sizeof labels, "le=\"%.9g\"", (double)(UINT64_C(1) << i) / second_us);
        metrics_text_series(to, series, labels, seen);
    }
    metrics_text_series(to, series, "le=\"+Inf\"", seen);
    snprintf(series, sizeof series, "%s_sum", name);
    metrics_text_series(to, series, "", number_of(json_array_get(buckets, HISTOGRAM_BUCKETS)) / second_us);
    snprintf(series, sizeof series, "%s_count", name);
    metrics_text_series(to, series, "", seen);
}

/* The dashboard compares these texts. */
static void print_sizes(struct evbuffer *to, const struct metric *m, const char *name, const json_t *facts)
{
    static const char *const limits[] = {"100.0", "1000.0", "10000.0", "100000.0", "1e+06",
                                         "1e+07", "5e+07",  "1e+08",   "+Inf"};
    const json_t *sizes = json_object_get(facts, m->source);
    char series[METRICS_NAME_MAX + sizeof "_bucket"], labels[METRICS_NAME_MAX];
    double seen = 0;
    snprintf(series, sizeof series, "%s_bucket", name);
    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        seen += number_of(json_array_get(sizes, i));
        snprintf(labels, sizeof labels, "protocol=\"amqp091\",le=\"%s\"", limits[i]);
        metrics_text_series(to, series, labels, seen);
    }
    snprintf(series, sizeof series, "%s_sum", name);
    metrics_text_series(to, series, "protocol=\"amqp091\"", number_of(json_object_get(facts, "message_bytes")));
    snprintf(series, sizeof series, "%s_count", name);
    metrics_text_series(to, series, "protocol=\"amqp091\"", seen);
}

void metrics_text_print(struct evbuffer *to, const struct metric *m, const json_t *facts, bool is_detailed)
{
    char name[METRICS_NAME_MAX];
    metrics_text_name(name, m->name, is_detailed);
    metrics_text_head(to, name, m->type, m->help);
    switch ((int)m->shape) {
    case METRIC_CLIENTS:
        metrics_text_series(to, name, "protocol=\"amqp091\"", metrics_number(facts, m->source));
        break;
    case METRIC_TYPES:
        print_types(to, m, name, facts);
        break;
    case METRIC_LETTERS:
        print_letters(to, m, name, facts);
        break;
    case METRIC_LOGINS:
        print_logins(to, m, name, facts);
        break;
    case METRIC_HISTOGRAM:
        print_histogram(to, m, name, facts);
        break;
    case METRIC_SIZES:
        print_sizes(to, m, name, facts);
        break;
    default:
        metrics_text_series(to, name, "", metrics_number(facts, m->shape == METRIC_BROKER ? m->source : m->sum));
        break;
    }
}
