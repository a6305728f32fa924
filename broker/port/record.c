#include "broker/port/record.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/port/message.h"

void sheaf_init(struct sheaf *s)
{
    *s = (struct sheaf){0};
}

static void drop(struct record *r)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_PUBLISH:
        message_unref(r->msg);
        break;
    case RECORD_DEFINE:
    case RECORD_UNDEFINE:
        free(r->definition);
        break;
    case RECORD_SETTLE:
    case RECORD_DELIVER:
    case RECORD_RETURN:
    case RECORD_PURGE:
    case RECORD_TRIM:
    case RECORD_COMMIT:
    case RECORD_LOAD:
        break;
    }
}

static void drop_all(struct sheaf *s)
{
    for (size_t i = 0; i < s->n; i++)
        drop(&s->records[i]);
}

void sheaf_fini(struct sheaf *s)
{
    drop_all(s);
    free(s->records);
    free(s->places);
    sheaf_init(s);
}

void sheaf_clear(struct sheaf *s)
{
    drop_all(s);
    s->n = s->n_places = 0;
    s->bytes = 0;
    s->has_loads = false;
    if (s->capacity > SHEAF_KEPT_MAX / sizeof(struct record)) {
        free(s->records);
        s->records = NULL;
        s->capacity = 0;
    }
    if (s->places_capacity > SHEAF_KEPT_MAX / sizeof(struct place)) {
        free(s->places);
        s->places = NULL;
        s->places_capacity = 0;
    }
}

void sheaf_grow_records(struct sheaf *s)
{
    s->capacity = alloc_grown(s->capacity, s->n + 1);
    s->records = alloc_array(s->records, s->capacity, sizeof(struct record));
}

void sheaf_grow_places(struct sheaf *s)
{
    s->places_capacity = alloc_grown(s->places_capacity, s->n_places + 1);
    s->places = alloc_array(s->places, s->places_capacity, sizeof(struct place));
}

/* Copies b to *to and moves that on. */
static struct bytes keep(uint8_t **to, struct bytes b)
{
    struct bytes kept = bytes_of(*to, b.len);
    if (b.len > 0)
        memcpy(*to, b.at, b.len);
    *to += b.len;
    return kept;
}

struct definition *definition_create(enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    struct definition *d = alloc(sizeof *d + key.len + value.len);
    *d = (struct definition){.what = what, .queue = queue};
    uint8_t *to = d->data;
    d->key = keep(&to, key);
    d->value = keep(&to, value);
    return d;
}
