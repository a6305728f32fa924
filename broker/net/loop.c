#define _GNU_SOURCE
#include "broker/net/loop.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/slots.h"
#include "broker/net/conn.h"
#include "broker/net/hush.h"
#include "broker/net/porch.h"
#include "broker/net/transport.h"

struct loop {
    struct loop_shared *shared; /* borrowed */
    unsigned number;
    struct poller *poller; /* owned */
    struct outbox outbox;
    struct batch *backlog; /* owned: taken from the outbox, still to be stepped; without threads */
    struct slots conns;    /* struct conn, owned */
    struct list touched;   /* struct conn: something has happened to them */
    struct list readable;  /* struct conn: their sockets have something; in the order in which they are read */
    struct heap deadlines; /* struct conn */
    struct door door;
    struct porch porch;
    struct hush on_eviction; /* from the door */
    uint64_t now_ms;
    uint64_t looked_ms; /* when sockets were looked at last */
    unsigned alarms;
    bool is_stopping, is_hurried, are_dropped;
    uint64_t stopped_ms; /* when it was told to stop */
    unsigned others;     /* loops that must end before this one does */

    /* With threads. */
    struct lane lane;
    struct watch *lane_watch; /* owned */
    unsigned under_way;       /* batches posted to the hub and not returned */
    struct parcel *spare;     /* owned: empty mails */
    unsigned spares;

    uint8_t scratch[SCRATCH_BYTES];
};

static void on_lane(void *arg, unsigned what)
{
    (void)what;
    struct loop *l = arg;
    lane_drain(&l->lane);
}

/* What one loop's door may hold of a number for all. */
static unsigned door_share(const struct loop_shared *shared, unsigned max)
{
    return (max + shared->n_loops - 1) / shared->n_loops;
}

struct loop *loop_create(struct loop_shared *shared, unsigned number)
{
    struct loop *l = alloc_zeroed(sizeof *l);
    l->shared = shared;
    l->number = number;
    l->poller = poller_create();
    outbox_init(&l->outbox);
    slots_init(&l->conns);
    list_init(&l->touched);
    list_init(&l->readable);
    heap_init(&l->deadlines);
    door_init(&l->door, door_share(shared, DOOR_GUESTS_MAX), door_share(shared, DOOR_GUESTS_PER_PLACE_MAX));
    porch_init(&l->porch);
    lane_init(&l->lane);
    l->lane_watch = watch_create(l->poller, l->lane.wake_fd, on_lane, l);
    watch_set(l->lane_watch, WATCH_READ);
    l->now_ms = clock_ms();
    l->others = number == 0 ? shared->n_loops - 1 : 0;
    return l;
}

void loop_destroy(struct loop *l)
{
    if (l == NULL)
        return;
    CHECK(l->conns.used == 0);
    for (struct parcel *p = lane_collect(&l->lane), *next; p != NULL; p = next) {
        next = p->next;
        if (p->kind == PARCEL_MAIL) {
            mail_destroy(mail_of(p));
            continue;
        }
        if (p->kind == PARCEL_STRANGER)
            stranger_fini((struct stranger *)(void *)p);
        if (p->kind != PARCEL_NEWS)
            free(p);
    }
    for (struct parcel *p = l->spare, *next; p != NULL; p = next) {
        next = p->next;
        mail_destroy(mail_of(p));
    }
    watch_destroy(l->lane_watch);
    lane_fini(&l->lane);
    door_fini(&l->door);
    porch_fini(&l->porch);
    heap_fini(&l->deadlines);
    slots_fini(&l->conns);
    batches_drop(l->backlog); /* the desk's: connections have ended */
    outbox_fini(&l->outbox);
    poller_destroy(l->poller);
    free(l);
}

struct lane *loop_lane(struct loop *l)
{
    return &l->lane;
}

struct poller *loop_poller(struct loop *l)
{
    return l->poller;
}

/* ---- Connections. */

static void loop_touch(struct loop *l, struct conn *c)
{
    if (!link_is_linked(&c->touched))
        list_append(&l->touched, &c->touched);
}

/* Puts it where what it is ready for will be done. */
static void loop_note(struct loop *l, struct conn *c)
{
    if ((c->ready & WATCH_READ) != 0 && !link_is_linked(&c->readable))
        list_append(&l->readable, &c->readable);
    if ((c->ready & WATCH_WRITE) != 0)
        loop_touch(l, c);
}

/* The callback of every connection's watch gets one of these: notes, and leaves the work to the turn. */
static void on_conn(void *arg, unsigned what)
{
    struct conn *c = arg;
    c->ready |= what;
    loop_note(c->loop, c);
}

static struct conn *loop_find(const struct loop *l, outlet_id id)
{
    uint32_t slot = id.slot - DESK_SLOTS;
    CHECK(slot % l->shared->n_loops == l->number);
    return slots_find(&l->conns, slot / l->shared->n_loops, id.generation);
}

/* ---- Strangers: the door and the porch. */

bool loop_has_room(struct loop_shared *shared, unsigned number)
{
    return atomic_load(&shared->guests[number]) < door_share(shared, DOOR_GUESTS_MAX + PORCH_MAX);
}

/* It has logged in, or gone; may have left already. */
static void loop_leave_door(struct loop *l, struct conn *c)
{
    if (c->guest.place == NULL)
        return;
    door_leave(&l->door, &c->guest);
    atomic_fetch_sub(&l->shared->guests[l->number], 1);
}

static void loop_send_away(struct loop *l, struct stranger *s)
{
    stranger_fini(s);
    atomic_fetch_sub(&l->shared->connections, 1);
    atomic_fetch_sub(&l->shared->guests[l->number], 1);
}

static void loop_evict(struct loop *l, struct guest *g)
{
    struct conn *c = item_of(g, struct conn, guest);
    unsigned hidden;
    if (hush_may(&l->on_eviction, 1, l->now_ms, &hidden))
        log_warning("net", "too many connections that have not logged in: closing %s, and %u before it",
                    session_peer_name(c->session), hidden);
    loop_leave_door(l, c);
    conn_drop(c);
    loop_touch(l, c);
}

/* Gives the stranger a connection, at the door. */
static void loop_seat(struct loop *l, struct stranger *s)
{
    struct peer_room room;
    const struct session_peer peer = peer_for_session(&s->peer, &room);
    struct conn *c = conn_create(s->transport);
    outlet_id id;
    c->loop = l;
    c->slot = slots_take(&l->conns, c, &id.generation);
    id.slot = DESK_SLOTS + c->slot * l->shared->n_loops + l->number;
    c->session = session_create(l->shared->session, id, &peer, &l->outbox, s->came_ms);
    c->watch = watch_create(l->poller, s->transport->fd, on_conn, c);
    if (l->alarms != 0)
        session_alarm(c->session, l->alarms, l->now_ms);
    loop_touch(l, c);

    door_enter(&l->door, &c->guest, &s->peer.from, l->now_ms);
    peer_fini(&s->peer);
    for (struct guest *g; (g = door_overdue(&l->door, &c->guest, l->now_ms)) != NULL;)
        loop_evict(l, g);
}

/* Whether there is room for it at the door, be it that somebody must go for it. */
static bool loop_makes_room(struct loop *l, const struct stranger *s)
{
    if (!door_is_full(&l->door))
        return true;
    struct guest *rival = door_rival(&l->door, &s->peer.from, l->now_ms);
    if (rival != NULL)
        loop_evict(l, rival);
    return rival != NULL;
}

void loop_welcome(struct loop *l, struct stranger *s)
{
    l->now_ms = clock_ms(); /* the turn may have begun long ago */
    if (l->is_stopping)
        loop_send_away(l, s);
    else if (loop_makes_room(l, s))
        loop_seat(l, s);
    else
        porch_add(&l->porch, s);
}

/* Until when whoever was accepted then must have opened. */
static uint64_t loop_time_of(const struct loop *l, const struct stranger *s)
{
    return s->came_ms + l->shared->session->handshake_timeout_ms;
}

/* When somebody on the porch should be seen to; UINT64_MAX: nobody is there. */
static uint64_t loop_porch_at(const struct loop *l)
{
    const struct stranger *first = porch_first(&l->porch);
    if (first == NULL)
        return UINT64_MAX;
    uint64_t ripe = door_is_full(&l->door) ? door_ripe_at(&l->door) : 0, end = loop_time_of(l, first);
    return ripe < end ? ripe : end;
}

/* Those in front come in while there is room, and go when their time is up. */
static void loop_tend_porch(struct loop *l)
{
    for (const struct stranger *first; (first = porch_first(&l->porch)) != NULL;) {
        const bool is_late = l->is_stopping || l->now_ms >= loop_time_of(l, first);
        if (!is_late && !loop_makes_room(l, first))
            return;
        struct stranger s = porch_take(&l->porch);
        if (is_late)
            loop_send_away(l, &s);
        else
            loop_seat(l, &s);
    }
}

/* The socket is closed and the session has had its last event. */
static void loop_farewell(struct loop *l, struct conn *c)
{
    heap_remove(&l->deadlines, &c->deadline);
    if (link_is_linked(&c->readable))
        list_remove(&c->readable);
    slots_give(&l->conns, c->slot);
    atomic_fetch_sub(&l->shared->connections, 1);
    conn_destroy(c);
}

/* ---- The hub. */

static void loop_alarm(struct loop *l, unsigned alarms)
{
    l->alarms = alarms;
    for (uint32_t i = 0; i < l->conns.count; i++) {
        struct conn *c = l->conns.at[i].item;
        if (c != NULL && c->state == CONN_UP) {
            session_alarm(c->session, alarms, l->now_ms);
            loop_touch(l, c);
        }
    }
}

/* Hands out the first of n events, and those behind it that are for the same; answers how many.  Most come in such
 * runs, so what is per connection is done once for many. */
static size_t loop_hand_out_some(struct loop *l, struct event *events, size_t n)
{
    if (outlet_is_desks(events->to.outlet)) {
        hub_answer_desk(l->shared->hub, events); /* without threads: with them the hub has sorted it out */
        return 1;
    }
    struct conn *c = loop_find(l, events->to.outlet);
    if (c == NULL) {
        event_drop(events);
        return 1;
    }
    size_t taken = session_events(c->session, events, n, l->now_ms);
    if (session_has_logged_in(c->session))
        loop_leave_door(l, c); /* whoever guesses may wait there until it has to go: this one may not */
    loop_touch(l, c);
    return taken;
}

static void loop_hand_out(struct loop *l, struct event *events, size_t n)
{
    for (size_t i = 0; i < n;)
        i += loop_hand_out_some(l, events + i, n - i);
}

static bool loop_has_commands(const struct loop *l)
{
    return l->backlog != NULL || l->outbox.first != NULL;
}

/* Without threads: the hub's turn. */
static void loop_take_turn(struct loop *l)
{
    struct hub *h = l->shared->hub;
    if (!loop_has_commands(l) && hub_deadline(h) > l->now_ms)
        return;
    hub_begin(h);
    if (l->backlog == NULL)
        l->backlog = outbox_take(&l->outbox);
    if (l->backlog == NULL)
        hub_step(h, NULL);
    for (unsigned i = 0; i < HUB_TURN_BATCHES && l->backlog != NULL && !hub_turn_is_long(h); i++) {
        struct batch *b = l->backlog;
        l->backlog = b->next;
        hub_step(h, b);
        outbox_give(&l->outbox, b);
    }
    struct effects *e = hub_end(h);
    if (e->alarms_changed)
        loop_alarm(l, e->alarms);
    loop_hand_out(l, e->events, e->n);
    effects_clear(e);
    hub_post_desk(h);
}

/* Without threads: what the desk asks of the hub goes behind what is there already. */
static void loop_take_desk_mail(struct loop *l, struct mail *m)
{
    struct batch **last = &l->backlog;
    while (*last != NULL)
        last = &(*last)->next;
    *last = m->batches;
    m->batches = NULL;
    mail_destroy(m);
}

/* With threads: posts what sessions want of the hub. */
static void loop_post(struct loop *l)
{
    struct batch *all = outbox_take(&l->outbox);
    if (all == NULL)
        return;
    for (const struct batch *b = all; b != NULL; b = b->next)
        l->under_way++;
    struct mail *m;
    if (l->spare != NULL) {
        m = mail_of(l->spare);
        l->spare = m->parcel.next;
        l->spares--;
    } else {
        m = mail_create(l->number);
    }
    m->loop = l->number;
    m->batches = all;
    lane_post(hub_inbox(l->shared->hub), &m->parcel);
}

static void loop_open_mail(struct loop *l, struct mail *m)
{
    while (m->batches != NULL) {
        struct batch *b = m->batches;
        m->batches = b->next;
        outbox_give(&l->outbox, b);
        l->under_way--;
    }
    if (m->has_alarms)
        loop_alarm(l, m->alarms);
    loop_hand_out(l, m->events, m->n);
    m->has_alarms = false;
    m->n = 0;
    if (l->spares == LOOP_MAILS_SPARE || m->capacity > MAIL_EVENTS_KEPT) {
        mail_destroy(m);
        return;
    }
    m->parcel.next = l->spare;
    l->spare = &m->parcel;
    l->spares++;
}

/* What other threads have posted. */
static void loop_collect(struct loop *l)
{
    for (struct parcel *p = lane_collect(&l->lane), *next; p != NULL; p = next) {
        next = p->next;
        switch ((enum parcel_kind)p->kind) {
        case PARCEL_MAIL:
            if (mail_of(p)->loop == HUB_DESK) {
                loop_take_desk_mail(l, mail_of(p));
                continue;
            }
            loop_open_mail(l, mail_of(p));
            continue; /* it is kept */
        case PARCEL_NEWS:
            hub_has_news(l->shared->hub);
            continue; /* it is the hub's */
        case PARCEL_STRANGER:
            loop_welcome(l, (struct stranger *)(void *)p);
            break;
        case PARCEL_STOP:
            loop_stop(l);
            break;
        case PARCEL_HURRY:
            loop_hurry(l);
            break;
        case PARCEL_ENDED:
            l->others--;
            break;
        }
        free(p);
    }
}

/* ---- The turn. */

static bool loop_has_work(const struct loop *l)
{
    return !list_is_empty(&l->touched) || !list_is_empty(&l->readable) || loop_has_commands(l);
}

/* Whoever could be read before is read first, so a look now would only tell again who they are; each look costs the
 * kernel a visit to all of them.  But sockets to be written, and the listeners, must not wait long. */
static bool loop_needs_no_look(const struct loop *l)
{
    return !list_is_empty(&l->readable) && l->now_ms < l->looked_ms + LOOP_LOOK_MS;
}

/* How long nothing needs to be done. */
static uint64_t loop_patience(const struct loop *l)
{
    if (loop_has_work(l))
        return 0;
    const struct heap_node *first = heap_top(&l->deadlines);
    uint64_t deadline = first != NULL ? first->key : UINT64_MAX;
    if (!l->shared->has_threads && hub_deadline(l->shared->hub) < deadline)
        deadline = hub_deadline(l->shared->hub);
    if (loop_porch_at(l) < deadline)
        deadline = loop_porch_at(l);
    if (l->is_stopping && l->stopped_ms + (l->are_dropped ? LOOP_STOP_MS : LOOP_GRACE_MS) < deadline)
        deadline = l->stopped_ms + (l->are_dropped ? LOOP_STOP_MS : LOOP_GRACE_MS);
    if (deadline == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now = clock_ms();
    return deadline > now ? deadline - now : 0;
}

static void loop_wait(struct loop *l)
{
    if (l->under_way > LOOP_BATCHES_MAX) {
        lane_wait(&l->lane, LOOP_STOP_MS); /* sockets wait; the hub does not */
        return;
    }
    if (loop_needs_no_look(l))
        return;
    l->looked_ms = l->now_ms;
    uint64_t patience = loop_patience(l);
    if (patience > 0 && !lane_may_sleep(&l->lane))
        patience = 0;
    poller_turn(l->poller, patience);
    lane_wake(&l->lane);
}

static void loop_tick(struct loop *l)
{
    for (struct heap_node *n; (n = heap_top(&l->deadlines)) != NULL && n->key <= l->now_ms;) {
        struct conn *c = item_of(n, struct conn, deadline);
        heap_remove(&l->deadlines, n); /* serving it sets the next */
        conn_tick(c, l->now_ms);
        loop_touch(l, c);
    }
    loop_tend_porch(l);
}

static bool loop_is_full(const struct loop *l)
{
    unsigned n = 0;
    for (const struct batch *b = l->outbox.first; b != NULL && n < HUB_TURN_BATCHES; b = b->next)
        n++;
    return n == HUB_TURN_BATCHES;
}

/* Until there is enough for a turn; the rest in the next one, and nobody serves them before. */
static void loop_read(struct loop *l)
{
    struct link *last = l->readable.ring.prev; /* who has more to be read comes behind those who were there before */
    for (bool is_over = list_is_empty(&l->readable); !is_over && !loop_is_full(l);) {
        struct conn *c = item_of(l->readable.ring.next, struct conn, readable);
        is_over = &c->readable == last;
        list_remove(&c->readable);
        conn_read(c, l->scratch, l->now_ms);
        loop_note(l, c);
        loop_touch(l, c);
    }
}

/* Serves everybody who was touched before it began. */
static void loop_serve(struct loop *l)
{
    struct list now = l->touched;
    if (list_is_empty(&l->touched))
        return;
    now.ring.next->prev = now.ring.prev->next = &now.ring;
    list_init(&l->touched);
    while (!list_is_empty(&now)) {
        struct conn *c = item_of(now.ring.next, struct conn, touched);
        list_remove(&c->touched);
        bool again = conn_serve(c, l->now_ms);
        if (c->state != CONN_UP)
            loop_leave_door(l, c);
        if (conn_is_over(c)) {
            loop_farewell(l, c);
            continue;
        }
        if (again)
            loop_touch(l, c);
        loop_note(l, c);
        uint64_t deadline = conn_deadline(c);
        if (deadline == UINT64_MAX)
            heap_remove(&l->deadlines, &c->deadline);
        else if (!heap_has(&c->deadline) || c->deadline.key != deadline)
            heap_set(&l->deadlines, &c->deadline, deadline);
    }
}

/* Without threads: with what the last round has caused. */
static bool loop_may_go_on(const struct loop *l)
{
    return !l->shared->has_threads && loop_has_commands(l) && !hub_turn_is_long(l->shared->hub);
}

static void loop_turn(struct loop *l)
{
    loop_wait(l);
    l->now_ms = clock_ms();
    loop_collect(l);
    loop_tick(l);
    loop_read(l);
    if (l->shared->has_threads) {
        loop_post(l); /* before the writing, so that the hub works meanwhile */
        loop_serve(l);
        loop_post(l);
    } else {
        loop_take_turn(l);
        loop_serve(l);
    }
    for (unsigned i = 1; i < LOOP_ROUNDS && loop_may_go_on(l); i++) {
        loop_take_turn(l);
        loop_serve(l);
    }
    audit_flush();
}

/* ---- The end. */

void loop_stop(struct loop *l)
{
    if (l->is_stopping)
        return;
    l->is_stopping = true;
    l->stopped_ms = l->now_ms = clock_ms();
    loop_tend_porch(l);
    for (uint32_t i = 0; i < l->conns.count; i++) {
        struct conn *c = l->conns.at[i].item;
        if (c != NULL && c->state == CONN_UP) {
            session_force_close(c->session, "broker forced connection closure with reason 'shutdown'", l->now_ms);
            loop_touch(l, c);
        }
    }
}

static void loop_drop_all(struct loop *l)
{
    l->are_dropped = true;
    for (uint32_t i = 0; i < l->conns.count; i++) {
        struct conn *c = l->conns.at[i].item;
        if (c != NULL) {
            conn_drop(c);
            loop_touch(l, c);
        }
    }
}

void loop_hurry(struct loop *l)
{
    loop_stop(l);
    l->is_hurried = true;
}

/* True: it is over; *has_ended: in an orderly manner. */
static bool loop_is_over(struct loop *l, bool *has_ended)
{
    if (!l->is_stopping)
        return false;
    *has_ended = l->conns.used == 0 && !loop_has_commands(l);
    if (l->others > 0)
        return false; /* they have their own limits */
    return *has_ended || l->is_hurried || l->now_ms >= l->stopped_ms + LOOP_STOP_MS;
}

bool loop_run(struct loop *l, struct loop *first)
{
    bool has_ended;
    for (;;) {
        loop_turn(l);
        if (loop_is_over(l, &has_ended))
            break;
        if (l->is_stopping && !l->are_dropped && l->now_ms >= l->stopped_ms + LOOP_GRACE_MS)
            loop_drop_all(l);
    }
    if (l != first) {
        struct parcel *p = alloc_zeroed(sizeof *p);
        p->kind = PARCEL_ENDED;
        lane_post(&first->lane, p);
    }
    return has_ended;
}
