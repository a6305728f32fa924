#include "broker/model/queue_stream.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/str.h"
#include "broker/model/bookmark.h"
#include "broker/model/consumer.h"
#include "broker/model/log.h"
#include "broker/model/offset.h"
#include "broker/model/outlet.h"
#include "broker/model/replay.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

static bool stream_publish(struct broker *b, struct queue *q, struct message *msg)
{
    log_append(b, q, msg);
    return true;
}

static void stream_clean(struct broker *b, struct queue *q)
{
    struct consumer *c;
    log_retain(b, q);
    if (b->is_in_tx) { /* what it publishes is not safe before its end, and nobody knows yet when that is */
        if (!link_is_linked(&q->log->suspended))
            list_append(&b->logs.suspended, &q->log->suspended);
        return;
    }
    if (q->is_paused)
        return;
    list_each (c, &q->ring, struct consumer, waiting) {
        replay_run(b, c->replay);
        if (consumer_can_take(c))
            continue;
        list_remove(&c->waiting);
        consumer_place(b, c);
    }
}

static char *refuse_argument(const struct queue *q, const char *key, const char *separator, const char *why)
{
    char *name = queue_describe(q);
    char *text = str_format("invalid arg '%s' for %s%s%s", key, name, separator, why);
    free(name);
    return text;
}

static char *refuse_with(const struct queue *q, const char *why)
{
    char *name = queue_describe(q);
    char *text = str_format("%s stream %s", why, name);
    free(name);
    return text;
}

static char *refuse_consumer(const struct queue *q, const struct spec *spec, uint32_t limit, enum reason *reason)
{
    struct replay_filter filter;
    struct offset from;
    struct field f;
    *reason = BAD_ARGUMENT;
    char *why = offset_read(spec->arguments, 0, &from);
    const char *key = "x-stream-offset";
    if (why == NULL) {
        why = replay_filter_read(spec->arguments, &filter);
        key = "x-stream-filter";
    }
    if (why == NULL) {
        bookmark_is_wanted(spec->arguments, &why);
        key = "x-stream-automatic-offset-tracking";
    }
    if (why != NULL) {
        char *text = refuse_argument(q, key, ": ", why);
        free(why);
        return text;
    }
    if (table_find(spec->arguments, BYTES("x-priority"), &f))
        return refuse_argument(q, "x-priority", " of queue type ", queue_type_module(QUEUE_STREAM));
    if (spec->no_ack) { /* which has no limit */
        *reason = NOT_SUPPORTED;
        return refuse_with(q, "automatic acknowledgement not supported by");
    }
    return limit > 0 ? NULL : refuse_with(q, "consumer prefetch count is not set for");
}

static char *stream_refuse(const struct queue *q, enum verb verb, const struct spec *spec, uint32_t limit,
                           enum reason *reason)
{
    if (verb == SUBSCRIBE)
        return refuse_consumer(q, spec, limit, reason);
    *reason = NOT_SUPPORTED;
    char *name = queue_describe(q);
    char *text = str_format("%s not supported by stream queues %s", verb == GET ? "basic.get" : "queue.purge", name);
    free(name);
    return text;
}

void queue_stream_begin(struct broker *b, struct queue *q, struct consumer *c)
{
    struct offset from;
    char *why = offset_read(c->arguments, b->now.wall_ms, &from);
    CHECK(why == NULL);
    c->replay = replay_create(b, q, c, &from);
}

void queue_stream_settled(struct broker *b, const struct entry *e)
{
    if (e->consumer != NULL && e->consumer->replay != NULL)
        bookmark_settled(b, e->consumer->replay, e->position);
}

const struct queue_kind queue_stream = {
    .publish = stream_publish,
    .clean = stream_clean,
    .purge = log_drop,
    .refuse = stream_refuse,
};
