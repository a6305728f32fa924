#include "broker/port/inspection.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/port/message.h"
#include "codec/cursor.h"

enum { LENGTH_BYTES = 4 };

struct inspection *inspection_create(enum inspection_kind what, const struct bytes *vhost, const struct bytes *name)
{
    size_t vhost_len = vhost != NULL ? vhost->len : 0, name_len = name != NULL ? name->len : 0;
    struct inspection *i = alloc_zeroed(sizeof *i + vhost_len + name_len);
    i->what = what;
    i->has_vhost = vhost != NULL;
    i->has_name = name != NULL;
    if (vhost_len > 0)
        memcpy(i->data, vhost->at, vhost_len);
    if (name_len > 0)
        memcpy(i->data + vhost_len, name->at, name_len);
    i->vhost = bytes_of(i->data, vhost_len);
    i->name = bytes_of(i->data + vhost_len, name_len);
    return i;
}

/* Each with its length, 2 bytes, before it. */
struct inspection *inspection_create_named(const struct bytes (*pairs)[2], size_t n)
{
    enum { SHORT_BYTES = 2 };
    size_t room = 0;
    CHECK(n <= INSPECTION_NAMES_MAX);
    for (size_t i = 0; i < n; i++)
        room += pairs[i][0].len + pairs[i][1].len + 2 * (size_t)SHORT_BYTES;
    struct inspection *named = alloc_zeroed(sizeof *named + room);
    struct pen p = pen_over(named->data, room);
    for (size_t i = 0; i < n; i++)
        for (unsigned j = 0; j < 2; j++) {
            pen_u16(&p, (uint16_t)pairs[i][j].len);
            pen_bytes(&p, pairs[i][j]);
        }
    named->what = INSPECT_QUEUES;
    named->names = bytes_of(named->data, room);
    return named;
}

void inspection_destroy(struct inspection *i)
{
    if (i == NULL)
        return;
    message_unref(i->msg);
    free(i->rows);
    free(i->user);
    free(i);
}

void inspection_clear(struct inspection *i)
{
    i->n = i->size = 0;
}

bool inspection_next(const struct inspection *i, size_t *at, struct bytes *row)
{
    if (*at == i->size)
        return false;
    struct cursor c = cursor_over(bytes_of(i->rows + *at, i->size - *at));
    *row = cursor_longstr(&c);
    CHECK(!c.bad);
    *at += LENGTH_BYTES + row->len;
    return true;
}

uint8_t *inspection_open_row(struct inspection *i, size_t room)
{
    size_t wanted = i->size + LENGTH_BYTES + room;
    if (wanted > i->capacity) {
        i->capacity = alloc_grown(i->capacity, wanted);
        i->rows = alloc_array(i->rows, i->capacity, 1);
    }
    return i->rows + i->size + LENGTH_BYTES;
}

void inspection_close_row(struct inspection *i, size_t size)
{
    struct pen p = pen_over(i->rows + i->size, LENGTH_BYTES);
    CHECK(i->size + LENGTH_BYTES + size <= i->capacity);
    pen_u32(&p, (uint32_t)size);
    i->size += LENGTH_BYTES + size;
    i->n++;
}
