#include "amqp/confirms.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

enum { ROOM_MIN = 64, ROOM_KEPT = 4096 };

enum answer { OPEN, SAFE, NOT_SAFE, WRITTEN };

struct confirms {
    uint8_t *ring; /* owned; enum answer by number */
    uint64_t mask;
    uint64_t low;      /* the oldest number that may still be open */
    uint64_t run;      /* so many below it are safe and wait to be written: answers that came in order */
    uint64_t ahead;    /* answered, and not below low */
    uint64_t next;     /* the number of the next publish */
    uint64_t gathered; /* other answers that wait to be written … */
    uint64_t from, to; /* … all of them between these numbers */
};

struct confirms *confirms_create(void)
{
    struct confirms *c = alloc(sizeof *c);
    *c = (struct confirms){.low = 1, .next = 1};
    return c;
}

void confirms_destroy(struct confirms *c)
{
    if (c == NULL)
        return;
    free(c->ring);
    free(c);
}

static uint8_t *answer_at(const struct confirms *c, uint64_t number)
{
    return &c->ring[number & c->mask];
}

static void confirms_grow(struct confirms *c)
{
    uint64_t room = c->ring == NULL ? ROOM_MIN : (c->mask + 1) * 2;
    uint8_t *ring = alloc(room);
    for (uint64_t n = c->low; n < c->next; n++)
        ring[n & (room - 1)] = *answer_at(c, n);
    free(c->ring);
    c->ring = ring;
    c->mask = room - 1;
}

uint64_t confirms_open(const struct confirms *c)
{
    return c->next - c->low - c->ahead;
}

uint64_t confirms_next(struct confirms *c)
{
    if (c->ring == NULL || c->next - c->low > c->mask)
        confirms_grow(c);
    *answer_at(c, c->next) = OPEN;
    return c->next++;
}

void confirms_gather(struct confirms *c, uint64_t number, bool refused)
{
    if (number < c->low || number >= c->next || *answer_at(c, number) != OPEN)
        return;
    if (number == c->low && !refused) {
        c->low++;
        c->run++;
        return;
    }
    *answer_at(c, number) = refused ? NOT_SAFE : SAFE;
    c->ahead++;
    if (c->gathered++ == 0) {
        c->from = c->to = number;
        return;
    }
    c->from = number < c->from ? number : c->from;
    c->to = number > c->to ? number : c->to;
}

bool confirms_is_gathered(const struct confirms *c)
{
    return c->gathered > 0 || c->run > 0;
}

/* What is answered without a gap from the oldest on: the safe ones in runs, each run in one ack. */
static void flush_from_low(struct confirms *c, confirms_write_fn *write, void *arg)
{
    uint64_t run = c->run, last = c->low - 1;
    c->run = 0;
    while (c->low < c->next && *answer_at(c, c->low) != OPEN) {
        uint8_t answer = *answer_at(c, c->low);
        if (answer == SAFE) {
            run++;
            last = c->low;
        } else if (answer == NOT_SAFE) {
            if (run > 0)
                write(arg, last, run > 1, false);
            write(arg, c->low, false, true);
            run = 0;
        }
        c->gathered -= answer != WRITTEN;
        c->ahead--;
        c->low++;
    }
    if (run > 0)
        write(arg, last, run > 1, false);
}

void confirms_flush(struct confirms *c, confirms_write_fn *write, void *arg)
{
    if (c->run > 0 || (c->gathered > 0 && c->from == c->low))
        flush_from_low(c, write, arg);
    for (uint64_t n = c->from > c->low ? c->from : c->low; c->gathered > 0; n++) {
        CHECK(n <= c->to);
        uint8_t *answer = answer_at(c, n);
        if (*answer != SAFE && *answer != NOT_SAFE)
            continue;
        write(arg, n, false, *answer == NOT_SAFE);
        *answer = WRITTEN;
        c->gathered--;
    }
    if (c->low == c->next && c->mask >= ROOM_KEPT) {
        free(c->ring);
        c->ring = NULL;
    }
}
