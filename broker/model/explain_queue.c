#include <inttypes.h>
#include <stdio.h>

#include "broker/model/access.h"
#include "broker/model/consumer.h"
#include "broker/model/dedup.h"
#include "broker/model/explain_state.h"
#include "broker/model/groups.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/waiting.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

/* ---- What it would do with the message. */

static void put_outcome(struct pen *row, const char *outcome)
{
    table_put_string(row, BYTES("outcome"), bytes_of_string(outcome));
}

/* What its length is, and may be: "3 of at most 3 messages are ready". */
struct length_text {
    char text[160];
};

static struct length_text length_of(const struct queue *q)
{
    struct length_text t;
    const struct queue_options *o = q->options;
    if (o->max_length != SPEC_NONE && q->ready_count + 1 > o->max_length)
        snprintf(t.text, sizeof t.text, "%" PRIu64 " of at most %" PRIu64 " messages are ready", q->ready_count,
                 o->max_length);
    else
        snprintf(t.text, sizeof t.text, "%" PRIu64 " of at most %" PRIu64 " bytes are ready", q->ready_bytes,
                 o->max_length_bytes);
    return t;
}

static void tell_full(struct pen *row, const struct queue *q)
{
    struct length_text length = length_of(q);
    bool has_letters = q->options->has_dead_letter_exchange;
    if (q->options->overflow == OVERFLOW_DROP_HEAD) {
        put_outcome(row, "pushes_out");
        explain_say(row, "explanation", "It is full (%s): the oldest message that is ready is %s for it.", length.text,
                    has_letters ? "dead-lettered" : "dropped");
        return;
    }
    bool to_letters = q->options->overflow == OVERFLOW_REJECT_PUBLISH_DLX && has_letters;
    put_outcome(row, "refused");
    explain_say(row, "explanation", "It is full (%s) and refuses what is published: confirms say so%s.", length.text,
                to_letters ? ", and it is dead-lettered" : "");
}

static const struct consumer *find_consumer(const struct queue *q)
{
    const struct consumer *c;
    unsigned looked = 0;
    list_each (c, &q->ring, const struct consumer, waiting) {
        if (consumer_can_take(c))
            return c;
        if (++looked == WAITING_LOOKED)
            break;
    }
    return NULL;
}

static void tell_queued(struct pen *row, const struct queue *q)
{
    const struct consumer *c = q->is_paused ? NULL : find_consumer(q);
    if (c != NULL && q->ready_count == 0) {
        struct bytes tag = waiting_name(c->tag);
        put_outcome(row, "delivered");
        explain_say(row, "explanation", "It is given at once to the consumer '%.*s'.", BYTES_ARG(tag));
        return;
    }
    put_outcome(row, "queued");
    const char *why = q->is_paused             ? "the queue is paused"
                      : q->consumer_count == 0 ? "it has no consumer"
                      : c == NULL              ? "none of its consumers can take more now"
                                               : "its consumers take what came before it first";
    explain_say(row, "explanation", "It waits behind %" PRIu64 " message%s: %s.", q->ready_count,
                q->ready_count == 1 ? "" : "s", why);
}

static void put_judgement(struct explain *e, struct pen *row, struct queue *q)
{
    const struct vhost *v = q->vhost;
    bool over_quota = v->queue_bytes_max != LIMIT_NONE && v->queue_bytes + e->msg->body_size > v->queue_bytes_max;
    if (over_quota) {
        put_outcome(row, "refused");
        explain_say(row, "explanation",
                    "The virtual host may have %" PRIu64 " bytes ready in its queues, and has %" PRIu64
                    ": confirms say no.",
                    v->queue_bytes_max, v->queue_bytes);
    } else if (q->log != NULL) {
        put_outcome(row, "appended");
        explain_say(row, "explanation", "It becomes offset %" PRIu64 " of the stream.", q->next_position);
    } else if (q->dedup != NULL && dedup_knows(e->b, q->dedup, e->msg)) {
        put_outcome(row, "duplicate");
        explain_say(row, "explanation", "The queue knows its deduplication key: it is dropped, and confirmed.");
    } else if (!queue_has_room(q, e->msg)) {
        tell_full(row, q);
    } else {
        tell_queued(row, q);
    }
}

/* ---- Who could be given it. */

static void tell_consumer(struct explain *e, const struct consumer *c)
{
    struct field f;
    bool has_name = table_find(c->outlet->facts->arguments, BYTES("name"), &f) && f.type == 'S';
    struct bytes connection = has_name ? f.bytes : (struct bytes){0}, user = c->outlet->access->user->name;
    struct pen row = explain_open(e, "consumer", c->queue->name.len + c->tag.len + connection.len + user.len);
    table_put_string(&row, BYTES("queue"), c->queue->name);
    table_put_string(&row, BYTES("consumer_tag"), c->tag);
    table_put_i64(&row, BYTES("priority"), c->priority);
    table_put_i64(&row, BYTES("channel"), c->stream->channel);
    table_put_string(&row, BYTES("connection"), connection);
    table_put_string(&row, BYTES("user"), user);
    explain_close(e, &row);
}

static void tell_consumers(struct explain *e, const struct queue *q)
{
    const struct consumer *c;
    unsigned n = 0, looked = 0;
    if (q->is_paused)
        return;
    list_each (c, &q->ring, const struct consumer, waiting) {
        if (consumer_can_take(c)) {
            tell_consumer(e, c);
            n++;
        }
        if (n == EXPLAIN_CONSUMERS_MAX || ++looked == WAITING_LOOKED)
            break;
    }
}

void explain_queue(struct explain *e, struct queue *q, const struct look_place *place)
{
    struct pen row = explain_open(e, "queue", q->name.len);
    table_put_string(&row, BYTES("name"), q->name);
    table_put_string(&row, BYTES("type"), bytes_of_string(queue_type_words[q->options->type]));
    table_put_bool(&row, BYTES("certain"), place->is_certain);
    if (place->after_ms > 0)
        table_put_i64(&row, BYTES("after_ms"), (int64_t)place->after_ms);
    table_put_i64(&row, BYTES("messages_ready"), (int64_t)q->ready_count);
    table_put_i64(&row, BYTES("consumers"), q->consumer_count);
    put_judgement(e, &row, q);
    explain_close(e, &row);
    tell_consumers(e, q);
}
