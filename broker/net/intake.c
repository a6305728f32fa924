#define _GNU_SOURCE
#include "broker/net/intake.h"

#include <stdlib.h>

#include "base/alloc.h"

void intake_init(struct intake *in)
{
    *in = (struct intake){0};
}

/* Its memory goes, and what it is stays. */
static void intake_empty(struct intake *in)
{
    if (in->is_secret && in->at != NULL)
        explicit_bzero(in->at, in->capacity);
    free(in->at);
    *in = (struct intake){.is_secret = in->is_secret};
}

void intake_fini(struct intake *in)
{
    intake_empty(in);
    intake_init(in);
}

/* Has room for that many bytes, and keeps the first of those that it has. */
static void intake_resize(struct intake *in, size_t capacity, size_t keep)
{
    if (in->is_secret) {
        uint8_t *at = alloc(capacity);
        if (keep > 0)
            memcpy(at, in->at, keep);
        if (in->at != NULL)
            explicit_bzero(in->at, in->capacity);
        free(in->at);
        in->at = at;
    } else {
        in->at = alloc_array(in->at, capacity, 1);
    }
    in->capacity = capacity;
}

static void intake_reserve(struct intake *in, size_t need)
{
    if (need <= in->capacity)
        return;
    size_t capacity = in->capacity < INTAKE_BYTES_MIN ? INTAKE_BYTES_MIN : in->capacity * 2;
    if (capacity < need)
        capacity = need;
    intake_resize(in, capacity, in->len);
}

struct space intake_space(struct intake *in, uint8_t *scratch)
{
    if (in->is_stuck || in->len > SCRATCH_BYTES / 2) {
        intake_reserve(in, in->len + INTAKE_BYTES_MIN);
        return (struct space){.at = in->at + in->len, .size = in->capacity - in->len, .is_own = true, .from = in->at};
    }
    if (in->len > 0)
        memcpy(scratch, in->at, in->len);
    return (struct space){.at = scratch + in->len, .size = SCRATCH_BYTES - in->len, .from = scratch};
}

struct bytes intake_got(const struct intake *in, const struct space *space, size_t n)
{
    return bytes_of(space->from, in->len + n);
}

struct bytes intake_left(const struct intake *in)
{
    return bytes_of(in->at, in->len);
}

void intake_wipe(const struct intake *in, const struct space *space, size_t n)
{
    if (!space->is_own)
        explicit_bzero(space->from, (size_t)(space->at - space->from) + n);
    else if (in->at != NULL && in->capacity > in->len)
        explicit_bzero(in->at + in->len, in->capacity - in->len);
}

void intake_keep(struct intake *in, struct bytes all, size_t used)
{
    size_t rest = all.len - used;
    in->is_stuck = used == 0 && rest > 0;
    if (rest == 0) {
        intake_empty(in);
        return;
    }
    if (all.at == in->at) { /* it lies in its own buffer already */
        memmove(in->at, in->at + used, rest);
        if (in->capacity / 4 > rest && in->capacity > INTAKE_BYTES_MIN) {
            intake_resize(in, rest < INTAKE_BYTES_MIN ? INTAKE_BYTES_MIN : rest, rest);
        }
    } else if (used == 0) { /* the beginning is there; only what was read is new */
        intake_reserve(in, rest);
        memcpy(in->at + in->len, all.at + in->len, rest - in->len);
    } else {
        if (in->capacity < rest || in->capacity / 4 > rest)
            intake_empty(in);
        intake_reserve(in, rest);
        memcpy(in->at, all.at + used, rest);
    }
    in->len = rest;
}
