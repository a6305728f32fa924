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
    struct move *m = alloc(sizeof *m + from->vhost.len + from->queue.len + from->exchange.len + from->key.len + from->user.len);
    *m = *from;
    uint8_t *to = m->data;
    m->vhost = copy(&to, from->vhost);
    m->queue = copy(&to, from->queue);
    m->exchange = copy(&to, from->exchange);
    m->key = copy(&to, from->key);
    m->user = copy(&to, from->user);
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
