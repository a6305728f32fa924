/* Restoring what was remembered: see broker.h. */
#include <stdlib.h>

#include "base/check.h"
#include "broker/model/access.h"
#include "broker/model/bookmark.h"
#include "broker/model/broker.h"
#include "broker/model/cold.h"
#include "broker/model/delayed.h"
#include "broker/model/exchange.h"
#include "broker/model/log.h"
#include "broker/model/parameter.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/definition.h"
#include "broker/port/spec.h"

static bool restore_vhost(struct broker *b, const struct spec *spec)
{
    char *refusal = vhost_refuse(spec);
    bool is_fine = refusal == NULL;
    free(refusal);
    if (is_fine)
        vhost_put(b, spec); /* the default one may be there from the beginning */
    return is_fine;
}

static bool restore_user(struct broker *b, const struct spec *spec)
{
    char *refusal = user_refuse(spec);
    bool is_fine = refusal == NULL && user_find(b, spec->name) == NULL;
    free(refusal);
    if (is_fine)
        user_put(b, spec);
    return is_fine;
}

static bool restore_parameter(struct broker *b, const struct spec *spec)
{
    char *refusal = parameter_refuse(spec);
    bool is_fine = refusal == NULL;
    free(refusal);
    if (is_fine)
        parameter_put(b, spec);
    return is_fine;
}

static bool restore_access(struct broker *b, struct vhost *v, const struct spec *spec)
{
    struct user *u = user_find(b, spec->name);
    char *refusal = access_refuse(spec);
    bool is_fine = refusal == NULL && u != NULL;
    free(refusal);
    if (is_fine)
        access_put(b, v, u, spec);
    return is_fine;
}

static bool restore_topic_access(struct broker *b, struct vhost *v, const struct spec *spec)
{
    struct user *u = user_find(b, spec->name);
    char *refusal = topic_access_refuse(spec);
    bool is_fine = refusal == NULL && u != NULL;
    free(refusal);
    if (is_fine)
        topic_access_put(b, v, u, spec);
    return is_fine;
}

static bool restore_exchange(struct broker *b, struct vhost *v, const struct spec *spec)
{
    if (!spec->durable || spec->name.len == 0 || exchange_kind_find(spec->type) == NULL ||
        vhost_find_exchange(b, v, spec->name) != NULL)
        return false;
    char *refusal = exchange_refuse(spec);
    bool is_fine = refusal == NULL;
    free(refusal);
    if (is_fine)
        exchange_create(b, v, spec);
    return is_fine;
}

/* Where an exchange keeps what it delays, or a queue its letters that wait. */
static bool restore_hidden(struct broker *b, struct vhost *v, uint64_t id, const struct spec *spec)
{
    struct bytes name;
    if (letters_is_box(spec)) {
        letters_restore(b, v, id, spec);
        broker_set_next_queue_id(b, id + 1);
        return true;
    }
    if (!delayed_read_exchange(spec->arguments, &name))
        return false;
    struct exchange *x = vhost_find_exchange(b, v, name);
    if (x == NULL || x->waiting != NULL || !x->spec->durable)
        return false;
    delayed_queue_create(b, x, id);
    broker_set_next_queue_id(b, id + 1);
    return true;
}

static bool restore_queue(struct broker *b, struct vhost *v, uint64_t id, const struct spec *spec)
{
    if (!spec->durable || id == 0 || id == UINT64_MAX || queue_find_by_id(b, id) != NULL ||
        vhost_find_queue(b, v, spec->name) != NULL)
        return false;
    if (dedup_restore(b, v, id, spec)) {
        broker_set_next_queue_id(b, id + 1);
        return true;
    }
    if (spec->hidden)
        return restore_hidden(b, v, id, spec);
    struct queue *q = queue_create(b, v, spec, NULL, id);
    letters_adopt(b, q);
    queue_begin_lease_later(q);
    broker_set_next_queue_id(b, id + 1);
    return true;
}

static bool restore_binding(struct broker *b, struct vhost *v, const struct spec *spec)
{
    struct exchange *source = vhost_find_exchange(b, v, spec->source), *to = NULL;
    struct queue *q = NULL;
    if (spec->to_exchange)
        to = vhost_find_exchange(b, v, spec->name);
    else
        q = vhost_find_queue(b, v, spec->name);
    if (source == NULL || source == v->default_exchange || (q == NULL && (to == NULL || to == v->default_exchange)))
        return false;
    char *refusal = binding_refuse(source, spec);
    bool is_fine = refusal == NULL && binding_find(b, source, q, to, spec) == NULL;
    free(refusal);
    if (is_fine)
        binding_create(b, source, q, to, spec);
    return is_fine;
}

static bool restore_in_vhost(struct broker *b, enum definition_class what, struct vhost *v, uint64_t queue,
                             const struct spec *spec)
{
    switch (what) {
    case DEFINE_EXCHANGE:
        return restore_exchange(b, v, spec);
    case DEFINE_QUEUE:
        return restore_queue(b, v, queue, spec);
    case DEFINE_BINDING:
        return restore_binding(b, v, spec);
    case DEFINE_PERMISSION:
        return restore_access(b, v, spec);
    case DEFINE_TOPIC_PERMISSION:
        return restore_topic_access(b, v, spec);
    case DEFINE_VHOST:
    case DEFINE_USER:
    case DEFINE_PARAMETER:
    case DEFINE_PART:
    case DEFINE_BOOKMARK:
    case DEFINE_CLASSES:
        break;
    }
    return false;
}

/* Before there were virtual hosts to be remembered, there was one: whatever is restored first is in it. */
static struct vhost *restored_vhost(struct broker *b, struct bytes name)
{
    return b->vhosts.count == 0 ? vhost_create(b, &(struct spec){.name = name}) : vhost_find(b, name);
}

static bool restore(struct broker *b, enum definition_class what, struct bytes vhost, uint64_t queue,
                    const struct spec *spec)
{
    if (what == DEFINE_VHOST)
        return restore_vhost(b, spec);
    if (what == DEFINE_USER)
        return restore_user(b, spec);
    if (what == DEFINE_PARAMETER)
        return restore_parameter(b, spec);
    struct vhost *v = restored_vhost(b, vhost);
    return v != NULL && restore_in_vhost(b, what, v, queue, spec);
}

bool broker_restore_definition(struct broker *b, enum definition_class what, uint64_t queue, struct bytes key,
                               struct bytes value)
{
    struct bytes vhost;
    CHECK(b->position == 0);
    if (what == DEFINE_PART)
        return log_restore_part(b, queue, key, value);
    if (what == DEFINE_BOOKMARK)
        return bookmark_restore(b, queue, key, value);
    struct spec *spec = definition_read_spec(what, key, value, &vhost);
    if (spec == NULL)
        return false;
    bool is_fine = restore(b, what, vhost, queue, spec);
    free(spec);
    return is_fine;
}

bool broker_restore_queue(struct broker *b, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    struct queue *q = queue_find_by_id(b, queue);
    CHECK(b->position == 0);
    if (messages <= next_position && dedup_restore_count(b, queue, messages, next_position))
        return true;
    if (q == NULL || q->next_position > 0 || messages > next_position || (messages == 0 && bytes > 0))
        return false;
    q->was_stored = true;
    if (q->log != NULL) {
        log_restore(b, q, messages, bytes, next_position);
        return true;
    }
    q->next_position = next_position;
    if (q->delayed != NULL) {
        delayed_restore(b, q, messages);
        return true;
    }
    if (messages > 0) {
        expiring_know_nothing(q);
        cold_count(b, q, messages, bytes);
    }
    cold_look(b, q);
    if (q->kind == &queue_of_letters && messages > 0)
        letters_begin(b, q);
    return true;
}

void broker_set_next_queue_id(struct broker *b, uint64_t id)
{
    if (id > b->next_queue_id)
        b->next_queue_id = id;
}
