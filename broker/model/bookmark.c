#include "broker/model/bookmark.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/consumer.h"
#include "broker/model/entry.h"
#include "broker/model/log.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/replay.h"
#include "broker/port/definition.h"
#include "codec/table.h"

bool bookmark_is_wanted(struct bytes arguments, char **wrong)
{
    struct field f;
    *wrong = NULL;
    if (!table_find(arguments, BYTES("x-stream-automatic-offset-tracking"), &f))
        return false;
    if (f.type != 't')
        *wrong = str_format("{unacceptable_type,%s}", field_type_name(f.type));
    return f.type == 't' && f.boolean;
}

static struct bytes tag_of(const struct bookmark *m)
{
    return bytes_of(m->tag, m->tag_len);
}

static struct bookmark *find(const struct log *l, struct bytes tag)
{
    struct bookmark *m;
    list_each (m, &l->bookmarks, struct bookmark, in_log)
        if (bytes_equal(tag_of(m), tag))
            return m;
    return NULL;
}

static void drop(struct broker *b, struct queue *q, struct bookmark *m)
{
    if (m->recorded != BOOKMARK_NEVER)
        remember_bookmark(b, RECORD_UNDEFINE, q, m);
    list_remove(&m->in_log);
    q->log->n_bookmarks--;
    free(m);
}

static struct bookmark *make(struct log *l, struct bytes tag, uint64_t next)
{
    struct bookmark *m = alloc(sizeof *m + tag.len);
    *m = (struct bookmark){.next = next, .recorded = BOOKMARK_NEVER, .tag_len = (uint8_t)tag.len};
    if (tag.len > 0)
        memcpy(m->tag, tag.at, tag.len);
    link_init(&m->in_log);
    list_append(&l->bookmarks, &m->in_log);
    l->n_bookmarks++;
    return m;
}

/* Room for another: one that nobody uses goes. */
static void make_room(struct broker *b, struct queue *q)
{
    struct bookmark *m;
    if (q->log->n_bookmarks < BOOKMARKS_MAX)
        return;
    list_each (m, &q->log->bookmarks, struct bookmark, in_log)
        if (m->readers == 0) {
            drop(b, q, m);
            return;
        }
}

void bookmark_open(struct broker *b, struct replay *r, struct bytes tag)
{
    struct log *l = r->queue->log;
    struct bookmark *m = find(l, tag);
    if (m != NULL) {
        list_remove(&m->in_log);
        list_append(&l->bookmarks, &m->in_log);
        r->next = m->next;
        r->is_seeking = false;
    } else {
        make_room(b, r->queue);
        m = make(l, tag, r->next);
    }
    m->readers++;
    r->bookmark = m;
    r->settled_to = m->next;
}

/* Where the replay's consumer would have to go on: its oldest message that is out, or else behind all it settled. */
static uint64_t progress(const struct replay *r)
{
    const struct consumer *c = r->consumer;
    const struct entry *e;
    uint64_t next = r->settled_to;
    if (c->out == 0)
        return next;
    list_each (e, &c->stream->out, struct entry, in_stream)
        if (e->consumer == c && e->position < next)
            next = e->position;
    return next;
}

static void save(struct broker *b, struct replay *r)
{
    struct bookmark *m = r->bookmark;
    m->next = progress(r);
    if (m->next == m->recorded)
        return;
    m->recorded = m->next;
    remember_bookmark(b, RECORD_DEFINE, r->queue, m);
}

void bookmark_close(struct broker *b, struct replay *r)
{
    if (r->bookmark == NULL)
        return;
    if (!r->queue->gone && r->settled_to > r->bookmark->next)
        save(b, r);
    r->bookmark->readers--;
    r->bookmark = NULL;
}

void bookmark_settled(struct broker *b, struct replay *r, uint64_t offset)
{
    struct wakeup *saving = &r->queue->log->saving;
    if (r->bookmark == NULL || offset < r->settled_to)
        return;
    r->settled_to = offset + 1;
    if (!heap_has(&saving->node))
        wakeup_set(b, saving, b->now.ms + BOOKMARK_MS);
}

void bookmark_save_all(struct broker *b, struct queue *q)
{
    struct replay *r;
    list_each (r, &q->log->replays, struct replay, in_log)
        if (r->bookmark != NULL)
            save(b, r);
}

void bookmark_forget_all(struct broker *b, struct queue *q)
{
    struct bookmark *m;
    list_each (m, &q->log->bookmarks, struct bookmark, in_log) {
        if (m->recorded != BOOKMARK_NEVER)
            remember_bookmark(b, RECORD_UNDEFINE, q, m);
        m->recorded = BOOKMARK_NEVER;
    }
}

void bookmark_free_all(struct queue *q)
{
    struct bookmark *m;
    list_each (m, &q->log->bookmarks, struct bookmark, in_log) {
        list_remove(&m->in_log);
        free(m);
    }
}

bool bookmark_restore(struct broker *b, uint64_t queue, struct bytes key, struct bytes value)
{
    struct queue *q = queue_find_by_id(b, queue);
    struct bytes tag;
    uint64_t next;
    if (q == NULL || q->log == NULL || !definition_read_bookmark(queue, key, value, &tag, &next) ||
        find(q->log, tag) != NULL)
        return false;
    make(q->log, tag, next)->recorded = next;
    return true;
}
