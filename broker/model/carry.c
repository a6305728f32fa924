#include "broker/model/carry.h"

#include "broker/model/entry.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"

bool carry_has_room(struct queue *const *queues, size_t n, const struct message *msg, struct queue **full)
{
    *full = NULL;
    for (size_t i = 0; i < n && *full == NULL; i++)
        if (!queue_has_room(queues[i], msg))
            *full = queues[i];
    return *full == NULL;
}

void carry_over(struct broker *b, struct entry *e, struct message *msg, struct queue *const *queues, size_t n)
{
    b->dedup.is_moving = true;
    remember_begin_letter(b, msg, e);
    for (size_t i = 0; i < n; i++)
        queue_publish(b, queues[i], message_ref(msg));
    message_unref(msg);
    b->dedup.is_moving = false;
    if (b->publishing.is_open) /* its record has settled the entry */
        entry_destroy(b, e);
    else
        entry_end(b, e);
}
