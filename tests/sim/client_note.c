/* Things that are declared, bound, unbound and deleted, one after the other and on a channel of their own.  What was
 * answered must be so, whatever happened to the broker since: what should be there is asked for; what should not be
 * is declared again, otherwise than before, which fails if the old one is there. */
#include <stdio.h>

#include "codec/table.h"
#include "tests/sim/client.h"
#include "tests/sim/marks.h"
#include "tests/sim/verdict.h"

enum { NOTE_CHANNEL = 1, NAME_ROOM = 24 };

/* What a note's requests are, in order; its `done` is how many of the first ones hold. */
enum { DECLARE_X, DECLARE_Q, BIND_Q, UNBIND_Q, DELETE_X, DELETE_Q, NOTE_STEPS, ASK_X, ASK_Q, CLEAR_Q, CLEAR_X };

static const uint32_t replies[] = {
    [DECLARE_X] = METHOD_exchange_declare_ok, [DECLARE_Q] = METHOD_queue_declare_ok,
    [BIND_Q] = METHOD_queue_bind_ok,          [UNBIND_Q] = METHOD_queue_unbind_ok,
    [DELETE_X] = METHOD_exchange_delete_ok,   [DELETE_Q] = METHOD_queue_delete_ok,
    [ASK_X] = METHOD_exchange_declare_ok,     [ASK_Q] = METHOD_queue_declare_ok,
    [CLEAR_Q] = METHOD_queue_delete_ok,       [CLEAR_X] = METHOD_exchange_delete_ok,
};

static union method declare_queue(const struct note *n, struct bytes name, bool passive, struct pen *p)
{
    table_put_i32(p, BYTES("x-max-length"), (int32_t)(1000 + n->life));
    return (union method){.queue_declare = {.id = METHOD_queue_declare,
                                            .queue = name,
                                            .passive = passive,
                                            .durable = true,
                                            .arguments = pen_written(p)}};
}

static union method declare_exchange(const struct note *n, struct bytes name, bool passive)
{
    static const char *const types[] = {"direct", "fanout", "topic"};
    return (union method){.exchange_declare = {.id = METHOD_exchange_declare,
                                               .exchange = name,
                                               .type = bytes_of_string(types[n->life % 3]),
                                               .passive = passive,
                                               .durable = true}};
}

static union method request(const struct note *n, struct bytes name, unsigned what, struct pen *p)
{
    switch (what) {
    case DECLARE_X:
    case ASK_X:
        return declare_exchange(n, name, what == ASK_X);
    case BIND_Q:
        return (union method){.queue_bind = {.id = METHOD_queue_bind, .queue = name, .exchange = name}};
    case UNBIND_Q:
        return (union method){.queue_unbind = {.id = METHOD_queue_unbind, .queue = name, .exchange = name}};
    case DELETE_X:
    case CLEAR_X: /* used by nothing, unless the unbind is forgotten */
        return (union method){
            .exchange_delete = {.id = METHOD_exchange_delete, .exchange = name, .if_unused = what == DELETE_X}};
    case DELETE_Q:
    case CLEAR_Q:
        return (union method){.queue_delete = {.id = METHOD_queue_delete, .queue = name}};
    default:
        return declare_queue(n, name, what == ASK_Q, p);
    }
}

static unsigned next_request(const struct note *n)
{
    if (n->is_unknown)
        return n->asked == CLEAR_Q ? CLEAR_X : CLEAR_Q;
    if (n->is_doubted && n->done > DECLARE_X && n->done <= DELETE_X && n->asked != ASK_X && n->asked != ASK_Q)
        return ASK_X;
    if (n->is_doubted && n->done > DECLARE_Q && n->done <= DELETE_Q && n->asked != ASK_Q)
        return ASK_Q;
    return n->done;
}

void client_note(struct client *c)
{
    unsigned i = rng_below(c->world.rng, NOTES);
    struct note *n = &c->notes[i];
    struct sim_channel *ch = &c->channels[NOTE_CHANNEL];
    uint8_t room[64];
    char name[NAME_ROOM];
    struct pen p = pen_over(room, sizeof room);
    if (c->state != CLIENT_OPEN || c->is_doomed || n->is_pending)
        return;
    if (ch->state == CHANNEL_NONE)
        channel_start(c, ch);
    snprintf(name, sizeof name, "note-%u", i);
    n->asked = next_request(n);
    n->is_pending = true;
    union method m = request(n, bytes_of_string(name), n->asked, &p);
    verdict_note("note %u, life %u: request %u", i, n->life, n->asked);
    client_send(c, ch->number, &m);
    channel_expect(ch, replies[n->asked], NOTE_DETAIL + i, false);
}

void client_noted(struct client *c, uint32_t detail)
{
    struct note *n = &c->notes[detail - NOTE_DETAIL];
    n->is_pending = false;
    if (n->asked == CLEAR_X || n->asked == DELETE_Q) {
        n->is_unknown = n->is_doubted = false;
        n->done = 0;
        n->life++;
        n->asked = NOTE_STEPS;
    } else if (n->asked < NOTE_STEPS) {
        n->is_doubted = false;
        n->done++;
    } else if (n->asked == ASK_X || n->asked == ASK_Q) {
        mark_hit(MARK_note_kept);
    }
}

void client_doubts(struct client *c)
{
    for (unsigned i = 0; i < NOTES; i++) {
        struct note *n = &c->notes[i];
        n->is_doubted = true;
        n->is_unknown |= n->is_pending && (n->asked < NOTE_STEPS);
        n->is_pending = false;
        n->asked = NOTE_STEPS;
    }
}
