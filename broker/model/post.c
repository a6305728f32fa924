#include "broker/model/post.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/model/exchange.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/route.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/vhost.h"

struct post {
    struct link in_posts;
    struct vhost *vhost;       /* pinned: it may go meanwhile, … */
    struct exchange *exchange; /* borrowed: … and this with it */
    struct message *msg;       /* shared */
};

void post_later(struct broker *b, struct exchange *x, struct message *m)
{
    struct post *p = alloc(sizeof *p);
    *p = (struct post){.vhost = x->vhost, .exchange = x, .msg = m};
    vhost_pin(p->vhost);
    list_append(&b->posts, &p->in_posts);
}

static void post_free(struct broker *b, struct post *p)
{
    list_remove(&p->in_posts);
    message_unref(p->msg);
    vhost_unpin(b, p->vhost);
    free(p);
}

static void route_one(struct broker *b, const struct post *p)
{
    struct routing routing = {.key = message_key(p->msg), .msg = p->msg};
    const struct route *route = route_message(b, p->exchange, &routing);
    statistics_letter(b, p->exchange, 1, route->n);
    remember_begin(b, p->msg);
    for (size_t i = 0; i < route->n; i++)
        queue_publish(b, route->queues[i], message_ref(p->msg));
}

/* One may cause the next, a copy of an event's delivery: that comes with the next call. */
void post_route_all(struct broker *b)
{
    struct post *p;
    list_each (p, &b->posts, struct post, in_posts) {
        if (!p->vhost->gone)
            route_one(b, p);
        post_free(b, p);
    }
}

void post_drop_all(struct broker *b)
{
    struct post *p;
    list_each (p, &b->posts, struct post, in_posts)
        post_free(b, p);
}
