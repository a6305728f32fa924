/* Counting (broker/port/sample.h): of every queue, exchange, channel, connection and virtual host how many messages
 * came, went and so on, and of all of them together.
 *
 * An object has its counters from its first traffic on.  Objects that were touched, which means that a counter or a
 * depth of theirs has changed, are on a list, so that a SAMPLE tells those and no others: it begins a round by taking
 * the list over, and tells it in as many answers as that takes.  An object counts as touched once in each round, and a
 * route that a stream remembers ends with the round, so whatever goes over a remembered route is counted without
 * looking: the stream, the exchange and the queues were touched when the route was found.
 *
 * There is one who asks: two that SAMPLE would each be told a part.
 */
#ifndef BROKER_MODEL_STATISTICS_H
#define BROKER_MODEL_STATISTICS_H

#include "broker/model/exchange.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/statistics_state.h"
#include "broker/model/vhost.h"

void statistics_init(struct statistics_state *s);
void statistics_fini(struct statistics_state *s); /* all objects are gone */

/* The first time in this round: cold. */
void statistics_touch_queue(struct broker *b, struct queue *q);
void statistics_touch_exchange(struct broker *b, struct exchange *x);
void statistics_touch_stream(struct broker *b, struct stream *s);
void statistics_touch_outlet(struct broker *b, struct outlet *o);
void statistics_touch_vhost(struct broker *b, struct vhost *v);

/* The object goes.  What it has counted stays in all that it was counted in, too. */
void statistics_end(struct broker *b, struct counted *c);

/* The last that is counted in the virtual host. */
void statistics_end_vhost(struct broker *b, struct vhost *v);

/* The counters of an object, to be increased; touches it. */
static inline void queue_touch_counters(struct broker *b, struct queue *q)
{
    if (__builtin_expect(q->counted.round != b->statistics.round, 0))
        statistics_touch_queue(b, q);
}

static inline uint64_t *exchange_counters(struct broker *b, struct exchange *x)
{
    if (__builtin_expect(x->counted.round != b->statistics.round, 0))
        statistics_touch_exchange(b, x);
    return x->counted.own->counts;
}

static inline void stream_touch_counters(struct broker *b, struct stream *s)
{
    if (__builtin_expect(s->counted.round != b->statistics.round, 0))
        statistics_touch_stream(b, s);
}

static inline uint64_t *stream_counters(struct broker *b, struct stream *s)
{
    stream_touch_counters(b, s);
    return s->counted.own->counts;
}

static inline uint64_t *outlet_counters(struct broker *b, struct outlet *o)
{
    if (o->counted.round != b->statistics.round)
        statistics_touch_outlet(b, o);
    return o->counted.own->counts;
}

/* Of clients, in the stream's virtual host.  The stream was touched. */
static inline uint64_t *client_counters(const struct stream *s)
{
    return s->outlet->vhost->tallies.counts;
}

/* So many of them: of the queue, which was touched in this round, and of all of its type. */
static inline void queue_count_touched(struct queue *q, enum sample_counter counter, uint64_t n)
{
    q->counted.own->counts[counter] += n;
    q->tally->counts[counter] += n;
}

static inline void queue_count(struct broker *b, struct queue *q, enum sample_counter counter, uint64_t n)
{
    queue_touch_counters(b, q);
    queue_count_touched(q, counter, n);
}

/* A message of a queue that was touched goes to a consumer or to a GET of that stream. */
static inline void queue_count_delivery(struct broker *b, struct queue *q, struct stream *s, enum sample_counter how,
                                        bool redelivered)
{
    uint64_t *counts = stream_counters(b, s);
    queue_count_touched(q, how, 1);
    counts[how]++;
    if (redelivered) {
        queue_count_touched(q, COUNT_REDELIVER, 1);
        counts[COUNT_REDELIVER]++;
    }
}

/* More is ready; or less, if n wraps around.  The queue was touched. */
static inline void queue_count_ready_touched(struct broker *b, struct queue *q, uint64_t n)
{
    q->ready_count += n;
    q->tally->ready += n;
    b->totals.messages_ready += n;
}

static inline void queue_count_ready(struct broker *b, struct queue *q, uint64_t n)
{
    queue_touch_counters(b, q);
    queue_count_ready_touched(b, q, n);
}

/* One goes out, or has come back. */
static inline void queue_count_sent(struct queue *q, const struct message *m)
{
    struct tally *of = q->tally;
    uint64_t bytes = m->body_size; /* read once: what is stored between might be the same, for all the compiler knows */
    q->out_count++;
    q->out_bytes += bytes;
    of->out++;
    of->out_bytes += bytes;
}

static inline void queue_count_returned(struct queue *q, const struct message *m)
{
    struct tally *of = q->tally;
    uint64_t bytes = m->body_size; /* read once: what is stored between might be the same, for all the compiler knows */
    q->out_count--;
    q->out_bytes -= bytes;
    of->out--;
    of->out_bytes -= bytes;
}

/* ---- Publishes.  Over a remembered route: a run, which is added up when it ends, or somebody asks. */
static inline unsigned message_size_class(uint64_t bytes)
{
    static const uint64_t limits[MESSAGE_SIZES - 1] = {MESSAGE_SMALL, 1000,     10000,    100000,
                                                       1000000,       10000000, 50000000, 100000000};
    unsigned i = 0;
    while (i < MESSAGE_SIZES - 1 && bytes > limits[i])
        i++;
    return i;
}

void publish_run_end(struct broker *b);

static inline void publish_run_add(struct broker *b, struct stream *s, uint64_t bytes)
{
    struct publish_run *run = &b->statistics.run;
    if (__builtin_expect(run->stream != s, 0)) {
        publish_run_end(b);
        run->stream = s;
    }
    run->n++;
    run->bytes += bytes;
    if (bytes > MESSAGE_SMALL)
        run->sizes[message_size_class(bytes)]++;
}

/* The stream is a publisher from now on. */
void statistics_begin_publishing(struct broker *b, struct stream *s);

/* One that goes another way, from a client: into so many queues.  x NULL: its exchange has gone. */
void statistics_publish(struct broker *b, struct stream *s, struct exchange *x, const struct message *m, size_t n);

/* Of n queues, how many are not hidden: what is delayed is in no queue yet. */
size_t statistics_copies(struct queue *const *queues, size_t n);

/* Whatever the broker itself publishes: a dead letter, an event. */
void statistics_letter(struct broker *b, struct exchange *x, size_t came, size_t copies);

/* One that dies. */
void statistics_death(struct queue *q, enum death death, enum strategy how);

/* ---- Telling. */

/* What the object counts by now.  NULL: it has not been counted. */
const struct statistics *statistics_of(struct broker *b, struct counted *c, uint64_t counts[COUNTERS]);

/* Of all virtual hosts; up to date, unless very many have traffic. */
const struct tallies *statistics_fold(struct broker *b);

/* The counters of a tally, or of all of them together, with what they imply. */
void tally_counts(const struct tally *t, uint64_t counts[COUNTERS]);
void tallies_counts(const struct tallies *t, uint64_t counts[COUNTERS]);

struct depth {
    uint64_t ready, unacknowledged, messages;
};
struct depth tallies_depth(const struct tallies *t);
struct depth queue_depth(const struct queue *q);

void statistics_sample(struct broker *b, struct samples *to);

/* Dies if the queue's publishes are not the positions that it has given. */
void statistics_check_queue(const struct queue *q);
#endif
