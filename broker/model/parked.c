#include "broker/model/parked.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/model/commands.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/rights.h"
#include "broker/model/state.h"

struct parked {
    struct link in_stream;
    struct link in_queue; /* on queue->parked, or on nothing */
    struct stream *stream;
    struct command command;
};

static struct parked *parked_create(struct stream *s, const struct command *c)
{
    struct parked *p = alloc(sizeof *p);
    p->stream = s;
    p->command = *c;
    link_init(&p->in_queue);
    return p;
}

void parked_get(struct queue *q, struct stream *s, const struct command *c)
{
    struct parked *p = parked_create(s, c);
    struct list first;
    CHECK(c->verb == GET);
    list_init(&first);
    list_append(&first, &p->in_stream);
    list_prepend_all(&s->parked, &first); /* what is there already has come behind it */
    list_append(&q->parked, &p->in_queue);
}

void parked_follow(struct stream *s, const struct command *c)
{
    list_append(&s->parked, &parked_create(s, c)->in_stream);
}

static struct parked *first_of_stream(const struct stream *s)
{
    return list_is_empty(&s->parked) ? NULL : item_of(s->parked.ring.next, struct parked, in_stream);
}

static struct command unpark(struct parked *p)
{
    struct command c = p->command;
    list_remove(&p->in_stream);
    list_remove(&p->in_queue);
    free(p);
    return c;
}

static void resume(struct broker *b, struct stream *s)
{
    if (!link_is_linked(&s->resumed))
        list_append(&b->resumed, &s->resumed);
}

void parked_answer(struct broker *b, struct queue *q)
{
    while (!list_is_empty(&q->parked) && (queue_has_head(b, q) || q->ready_count == 0)) {
        struct parked *p = item_of(q->parked.ring.next, struct parked, in_queue);
        struct stream *s = p->stream;
        struct command c = unpark(p);
        if (rights_permit(b, &c, s)) /* they may have changed meanwhile */
            command_get(b, &c, s);
        resume(b, s);
    }
}

void parked_release(struct broker *b, struct queue *q)
{
    struct parked *p;
    list_each (p, &q->parked, struct parked, in_queue) {
        list_remove(&p->in_queue);
        resume(b, p->stream);
    }
}

bool parked_next(struct broker *b, struct stream **s, struct command *c)
{
    while (!list_is_empty(&b->resumed)) {
        *s = item_of(b->resumed.ring.next, struct stream, resumed);
        struct parked *p = first_of_stream(*s);
        if (p != NULL && !link_is_linked(&p->in_queue)) {
            *c = unpark(p);
            return true;
        }
        list_remove(&(*s)->resumed);
    }
    return false;
}

bool parked_take(struct stream *s, struct command *c)
{
    struct parked *p;
    list_each (p, &s->parked, struct parked, in_stream) {
        *c = unpark(p);
        if (c->verb != GET)
            return true;
        command_drop(c);
    }
    return false;
}

void parked_drop(struct stream *s)
{
    struct parked *p;
    list_each (p, &s->parked, struct parked, in_stream) {
        struct command c = unpark(p);
        command_drop(&c);
    }
    list_remove(&s->resumed);
}

void parked_check(const struct stream *s)
{
    struct parked *p;
    const struct parked *first = first_of_stream(s);
    list_each (p, &s->parked, struct parked, in_stream) {
        CHECK(p->stream == s && link_is_linked(&p->in_queue) == (p == first));
    }
    CHECK(first == NULL || first->command.verb == GET);
    CHECK(!link_is_linked(&s->resumed));
}
