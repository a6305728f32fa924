/* Records: what the model wants remembered (broker/port/record.h).  With config.records false all of this does nothing,
 * every position is 0, and no event waits.
 *
 * Whoever changes something says so here, and these functions know whether that is to be remembered.
 */
#ifndef BROKER_MODEL_REMEMBER_H
#define BROKER_MODEL_REMEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/model/entry.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/port/event.h"
#include "broker/port/record.h"

struct binding;
struct bookmark;
struct exchange;
struct log_part;
struct outlet;
struct spec;
struct stream;

/* ---- Definitions.  kind is RECORD_DEFINE or RECORD_UNDEFINE; a DEFINE's position is kept in the object. */
void remember_exchange(struct broker *b, enum record_kind kind, struct exchange *x);
void remember_queue(struct broker *b, enum record_kind kind, struct queue *q);
void remember_binding(struct broker *b, enum record_kind kind, struct binding *bd);

/* What administrators make: spec says all of it. */
void remember_definition(struct broker *b, enum record_kind kind, enum definition_class what, const struct spec *spec);

/* ---- Publishes.  A message that goes to many queues is one record, which the first place opens: begin, publish to the
 * queues, and read b->publishing.  If a place of a dead letter was recorded, that has settled its source. */
static inline void remember_begin(struct broker *b, struct message *msg)
{
    b->publishing.msg = msg;
    b->publishing.source = NULL;
    b->publishing.is_open = false;
    b->publishing.after = 0;
}
void remember_begin_letter(struct broker *b, struct message *letter, const struct entry *source);

/* The message that was begun is at this place of q from now on. */
void remember_place(struct broker *b, struct queue *q, uint64_t position, uint64_t ttl_ms);

/* Would it be recorded even if there were memory enough? */
bool remember_is_durable(const struct queue *q, const struct message *msg);

/* ---- What becomes of them.  kind is RECORD_SETTLE, RECORD_DELIVER or RECORD_RETURN. */
void remember_fate(struct broker *b, enum record_kind kind, const struct entry *e);

/* A message that has no entry is done with; bytes: of its body. */
void remember_settle(struct broker *b, const struct queue *q, uint64_t position, uint64_t bytes);

static inline void remember_entry(struct broker *b, enum record_kind kind, const struct entry *e)
{
    if (e->stored)
        remember_fate(b, kind, e);
}

/* All that the queue has from a position on is done with. */
void remember_purge(struct broker *b, const struct queue *q, uint64_t from);

/* Keys of messages (dedup.h): their stores, which are queues to the journal alone; a key's record, whose message is
 * taken over; and that it is done with. */
void remember_store(struct broker *b, enum record_kind kind, struct bytes vhost, uint64_t id, const struct spec *spec);
void remember_key(struct broker *b, uint64_t store, uint64_t position, struct message *msg, uint64_t ttl_ms);
void remember_key_gone(struct broker *b, uint64_t store, uint64_t position);

/* Asks for what a queue, or a store, has from that position on. */
void remember_load_from(struct broker *b, uint64_t queue, uint64_t position, uint32_t messages_max, uint32_t bytes_max);
/* Everything in it before an offset is done with. */
void remember_trim(struct broker *b, const struct queue *q, uint64_t before);

/* A part of a stream's log is closed, or gone.  kind as above. */
void remember_part(struct broker *b, enum record_kind kind, const struct queue *q, const struct log_part *p);

/* How far a reader of a stream is.  kind as above. */
void remember_bookmark(struct broker *b, enum record_kind kind, const struct queue *q, const struct bookmark *m);

/* A reader of a stream asks for messages from an offset on. */
void remember_read(struct broker *b, const struct queue *q, uint64_t from, uint64_t reader, uint32_t messages_max,
                   uint32_t bytes_max);

/* Asks for what is cold. */
void remember_load(struct broker *b, const struct queue *q, uint32_t messages_max, uint32_t bytes_max);

/* Records from here to the end count together or not at all.  The end answers the position of the COMMIT, 0 if there
 * was nothing to remember. */
void remember_tx_begin(struct broker *b);
uint64_t remember_tx_end(struct broker *b);
bool remember_tx_publishes(const struct broker *b); /* before its end: has it a publish? */

/* ---- Events that wait.  What a stream is told behind an answer that waits does not overtake it: s->after is the least
 * that such an event is stamped with.  (CONFIRMED, REFUSED and RETURNED are no answers: they wait for themselves.) */

/* An answer waits for what its command has changed; call it again when that has become more. */
void remember_answer(struct broker *b, struct event *e);

/* CONFIRMED and REFUSED wait for the record of the message that was published last. */
void remember_confirm(struct broker *b, struct event *e, struct stream *s);

/* The highest stamp of anything that the client was told. */
uint64_t remember_last_stamp(const struct outlet *o);

/* All that the command has had recorded so far is what its answer has to wait for. */
static inline void remember_changed(struct broker *b)
{
    b->changed = b->position;
}
#endif
