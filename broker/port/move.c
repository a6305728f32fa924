#include "broker/port/move.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static struct bytes copy(uint8_t **to, struct bytes from)
{
    if (from.at == NULL)
        return from;
    struct bytes b = bytes_of(*to, from.len);
    if (from.len > 0)
        memcpy(*to, from.at, from.len);
    *to += from.len;
    return b;
}

struct move *move_create(const struct move *from)
{
    size_t names = from->vhost.len + from->queue.len + from->exchange.len + from->key.len + from->user.len;
    size_t match = from->match_key.len + from->match_headers.len + from->match_body.len;
    struct move *m = alloc(sizeof *m + names + match);
    *m = *from;
    uint8_t *to = m->data;
    m->vhost = copy(&to, from->vhost);
    m->queue = copy(&to, from->queue);
    m->exchange = copy(&to, from->exchange);
    m->key = copy(&to, from->key);
    m->user = copy(&to, from->user);
    m->match_key = copy(&to, from->match_key);
    m->match_headers = copy(&to, from->match_headers);
    m->match_body = copy(&to, from->match_body);
    m->stopped = NULL;
    return m;
}

void move_destroy(struct move *m)
{
    if (m == NULL)
        return;
    free(m->stopped);
    free(m);
}
