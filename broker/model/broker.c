#include "broker/model/broker.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/commands.h"
#include "broker/model/consumer.h"
#include "broker/model/deadletter.h"
#include "broker/model/discard.h"
#include "broker/model/exchange.h"
#include "broker/model/notice.h"
#include "broker/model/outlet.h"
#include "broker/model/pace.h"
#include "broker/model/parameter.h"
#include "broker/model/parked.h"
#include "broker/model/policy.h"
#include "broker/model/post.h"
#include "broker/model/queue.h"
#include "broker/model/remember.h"
#include "broker/model/replay.h"
#include "broker/model/rights.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/load.h"
#include "broker/port/spec.h"

/* What it is for is done at the end of every step. */
static void on_alarm(struct broker *b, struct wakeup *w)
{
    (void)b;
    (void)w;
}

struct broker *broker_create(const struct broker_config *config)
{
    struct broker *b = alloc_zeroed(sizeof *b);
    b->node = str_copy(bytes_of_string(config->node != NULL ? config->node : ""));
    b->event_vhost = config->event_vhost != NULL ? str_copy(bytes_of_string(config->event_vhost)) : NULL;
    b->hash_seed = b->random = config->hash_seed;
    b->memory_high = config->memory_high;
    b->records = config->records;
    b->takes_detours = config->takes_detours;
    b->next_queue_id = 1;
    cold_state_init(&b->cold, config);
    letters_state_init(&b->letters);
    peeks_init(&b->peeks);
    log_state_init(&b->logs);
    statistics_init(&b->statistics);
    b->connections_max = config->connections_max;
    b->expires_at_head = config->expires_at_head;
    b->delays_anywhere = config->delays_anywhere;
    b->consumer_timeout_ms = config->consumer_timeout_ms > 0 ? config->consumer_timeout_ms : SPEC_NONE;
    b->ignores_client_deaths = config->ignores_client_deaths;
    b->delivery_limit = config->delivery_limit > 0 ? config->delivery_limit : MODEL_DELIVERY_LIMIT;
    b->default_queue_type = config->default_queue_type;
    b->strict_queue_types = config->strict_queue_types;
    b->relaxed_redeclare = config->relaxed_redeclare;
    b->relaxed_quorum = config->relaxed_quorum;
    map_init(&b->vhosts);
    map_init(&b->users);
    map_init(&b->parameters);
    map_init(&b->queues_by_id);
    dedup_state_init(&b->dedup);
    slots_init(&b->tickets);
    entry_pool_init(&b->entries);
    pile_init(&b->discarded);
    heap_init(&b->wakeups);
    list_init(&b->deaths);
    list_init(&b->fresh);
    list_init(&b->dirty);
    list_init(&b->doomed);
    list_init(&b->posts);
    list_init(&b->stale);
    list_init(&b->vhost_defaults);
    list_init(&b->resumed);
    list_init(&b->leaving);
    route_init(&b->route);
    wakeup_init(&b->alarm_wakeup, on_alarm);
    b->topology_version = 1;
    if (config->default_vhost != NULL)
        vhost_create(b, &(struct spec){.name = bytes_of_string(config->default_vhost)});
    return b;
}

/* A client that has gone, with more than a step ends: it is told so when that is over. */
struct leaving {
    struct link in_broker;
    struct origin from;
    uint64_t after;
};

static void forget_leaving(struct broker *b)
{
    struct leaving *l;
    list_each (l, &b->leaving, struct leaving, in_broker) {
        list_remove(&l->in_broker);
        free(l);
    }
}

void broker_destroy(struct broker *b)
{
    struct effects last;
    struct map_node *n;
    effects_init(&last);
    /* cppcheck-suppress autoVariables; b does not outlive it */
    b->effects = &last;
    b->records = false;
    forget_leaving(b);
    for (size_t i = 0; i < b->outlet_count; i++)
        if (b->outlets[i] != NULL)
            outlet_delete(b, b->outlets[i]);
    deadletter_forget(b);
    post_drop_all(b);
    letters_state_fini(b);
    observers_fini(b);
    peeks_fini(&b->peeks);
    while ((n = map_walk(&b->vhosts, NULL)) != NULL)
        vhost_destroy(b, item_of(n, struct vhost, in_broker));
    while ((n = map_walk(&b->users, NULL)) != NULL)
        user_free(b, item_of(n, struct user, in_broker));
    user_forget_machine(b);
    while ((n = map_walk(&b->parameters, NULL)) != NULL)
        parameter_free(b, item_of(n, struct parameter, in_broker));
    vhost_forget_defaults(b);
    discard_all(b);
    dedup_state_fini(b);
    effects_fini(&last);
    map_fini(&b->vhosts);
    map_fini(&b->users);
    map_fini(&b->parameters);
    map_fini(&b->queues_by_id);
    slots_fini(&b->tickets);
    entry_pool_fini(&b->entries);
    heap_fini(&b->wakeups);
    route_fini(&b->route);
    statistics_fini(&b->statistics);
    free(b->outlets);
    free(b->node);
    free(b->event_vhost);
    free(b);
}

/* A step along the golden ratio, mixed (splitmix64); of n parts of all numbers, the one that it is in. */
uint64_t broker_random(struct broker *b, uint64_t n)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t v = b->random += 0x9e3779b97f4a7c15u;
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
    v = (v ^ v >> 27) * 0x94d049bb133111ebu;
    v ^= v >> 31;
    return (uint64_t)((wide)v * n >> 64);
}

/* ---- Timers. */

void wakeup_init(struct wakeup *t, void (*fire)(struct broker *b, struct wakeup *t))
{
    heap_node_init(&t->node);
    t->fire = fire;
}

void wakeup_set(struct broker *b, struct wakeup *t, uint64_t at_ms)
{
    if (at_ms == UINT64_MAX)
        heap_remove(&b->wakeups, &t->node);
    else
        heap_set(&b->wakeups, &t->node, at_ms);
}

static void fire_due(struct broker *b)
{
    struct heap_node *n;
    while ((n = heap_top(&b->wakeups)) != NULL && n->key <= b->now.ms) {
        struct wakeup *t = item_of(n, struct wakeup, node);
        heap_remove(&b->wakeups, n);
        t->fire(b, t);
    }
}

uint64_t broker_deadline(const struct broker *b)
{
    if ((deadletter_is_due(b) && b->dedup.learners == 0) || cold_is_due(b) || replay_is_due(b) || dedup_is_due(b) ||
        dedup_is_to_begin(b) || discard_is_due(b) || !list_is_empty(&b->stale) || !list_is_empty(&b->leaving))
        return b->now.ms;
    struct heap_node *n = heap_top(&b->wakeups);
    uint64_t letters = letters_deadline(b), next = n != NULL ? n->key : UINT64_MAX;
    return letters < next ? letters : next;
}

/* ---- A step. */

void broker_finish(struct broker *b)
{
    bool are_caused = false; /* what dies now is of a letter, the last one that was moved */
    for (;;) {
        if (policy_must_refresh(b)) {
            policy_refresh(b);
        } else if (!list_is_empty(&b->doomed)) {
            exchange_delete_doomed(b);
        } else if (!list_is_empty(&b->dirty)) {
            queue_clean_dirty(b);
        } else if (b->deaths_left > 0 && deadletter_is_due(b) && b->dedup.learners == 0) {
            deadletter_next(b, are_caused);
            are_caused = true;
            b->deaths_left--;
        } else if (letters_are_due(b)) {
            letters_sweep(b);
        } else if (!list_is_empty(&b->posts)) {
            post_route_all(b);
        } else {
            deadletter_pause(b, are_caused);
            return;
        }
    }
}

void broker_fail(struct broker *b, const struct command *c, enum reason reason, char *text)
{
    struct event *e = broker_tell(b, FAILED, c->from);
    e->verb = c->verb;
    e->cookie = c->cookie;
    e->failed.reason = reason;
    e->failed.text = text;
    if (b->records)
        remember_answer(b, e);
    struct outlet *o = outlet_find(b, c->from.outlet);
    if (o != NULL)
        outlet_stream(b, o, c->from.stream)->poisoned = true;
}

static void carry_out_for_stream(struct broker *b, struct command *c, struct stream *s);

/* What the client has said before it ended is carried out, though it waits behind a GET: that alone is dropped, nobody
 * will read its answer. */
static void carry_out_parked(struct broker *b, struct outlet *o)
{
    struct command c;
    for (size_t i = 0; i < o->stream_count; i++)
        while (o->streams[i] != NULL && parked_take(o->streams[i], &c)) {
            carry_out_for_stream(b, &c, o->streams[i]);
            broker_finish(b);
        }
}

/* True: it has nothing any more. */
static bool end_outlet(struct broker *b, struct outlet *o)
{
    bool is_over = outlet_end(b, o);
    if (is_over)
        outlet_delete(b, o);
    broker_finish(b);
    return is_over;
}

static void detach(struct broker *b, struct command *c, struct outlet *o)
{
    uint64_t after = 0;
    bool is_over = true;
    if (o == NULL)
        dedup_drop_held(b, c->from.outlet);
    if (o != NULL) {
        carry_out_parked(b, o);
        after = remember_last_stamp(o);
        o->has_left = true;
        is_over = end_outlet(b, o);
    }
    if (is_over) {
        broker_tell(b, DETACHED, c->from)->after = after; /* it is the last */
        return;
    }
    struct leaving *l = alloc(sizeof *l);
    *l = (struct leaving){.from = c->from, .after = after};
    list_append(&b->leaving, &l->in_broker);
}

static void broker_let_go(struct broker *b)
{
    struct leaving *l;
    list_each (l, &b->leaving, struct leaving, in_broker) {
        struct outlet *o = outlet_find(b, l->from.outlet);
        if (o != NULL && !end_outlet(b, o)) /* NULL: it was expelled meanwhile */
            return;
        broker_tell(b, DETACHED, l->from)->after = l->after;
        list_remove(&l->in_broker);
        free(l);
    }
}

/* Commands that are not about a stream. */
static bool carry_out_for_client(struct broker *b, struct command *c, struct outlet *o)
{
    switch ((int)c->verb) {
    case LOGIN:
        command_login(b, c);
        return true;
    case ATTACH:
        if (!dedup_holds(b, c))
            command_attach(b, c, o);
        return true;
    case ALTER:
        command_alter(b, c);
        return true;
    case INSPECT:
        command_inspect(b, c);
        return true;
    case MOVE:
        command_move(b, c);
        return true;
    case PREFETCH:
        command_prefetch(b, c);
        return true;
    case CANCEL:
        command_cancel(b, c);
        return true;
    case SAMPLE:
        command_sample(b, c);
        return true;
    case REPORT:
        command_report(b, c, o);
        return true;
    case EXPEL:
        command_expel(b, c);
        return true;
    case DETACH:
        detach(b, c, o);
        return true;
    case LOADED:
        if (c->load->reader != 0 && peek_take_load(b, c->load))
            return true;
        if (c->load->reader != 0)
            replay_take_load(b, c->load);
        else if (!dedup_take_load(b, c->load))
            cold_take_load(b, c->load);
        return true;
    case PACE:
        if (o != NULL)
            pace_answer(b, o);
        return true;
    case WINDOW:
        if (o != NULL)
            outlet_widen(b, o, c->window.bytes);
        return true;
    default:
        return false;
    }
}

static void (*const carry_out[])(struct broker *b, struct command *c, struct stream *s) = {
    [RESET] = command_reset,
    [OPEN] = command_open,
    [ECHO] = command_echo,
    [DECLARE_EXCHANGE] = command_declare_exchange,
    [DELETE_EXCHANGE] = command_delete_exchange,
    [DECLARE_QUEUE] = command_declare_queue,
    [DELETE_QUEUE] = command_delete_queue,
    [PURGE_QUEUE] = command_purge_queue,
    [BIND] = command_bind,
    [UNBIND] = command_unbind,
    [PUBLISH] = command_publish,
    [SUBSCRIBE] = command_subscribe,
    [UNSUBSCRIBE] = command_unsubscribe,
    [CREDIT] = command_credit,
    [LIMIT] = command_limit,
    [GET] = command_get,
    [SETTLE] = command_settle,
    [RECOVER] = command_recover,
    [COMMIT] = command_commit,
    [ROLLBACK] = command_rollback,
};

/* A client that comes back at once finds the names of its exclusive queues free, however long what it was before takes
 * to go. */
static void free_name(struct broker *b, const struct command *c, const struct stream *s)
{
    struct queue *q = vhost_find_queue(b, s->outlet->vhost, c->spec->name);
    if (q != NULL && q->owner != NULL && q->owner->has_left)
        queue_delete(b, q);
    broker_finish(b);
}

static void carry_out_for_stream(struct broker *b, struct command *c, struct stream *s)
{
    /* Neither has anything to ask there (rights.c), and nearly every command is one of them. */
    bool is_hot = c->verb == PUBLISH || c->verb == SETTLE;
    b->changed = 0;
    if (c->verb == DECLARE_QUEUE && !s->poisoned && !list_is_empty(&b->leaving))
        free_name(b, c, s);
    if (s->poisoned && c->verb != RESET)
        command_drop(c);
    else if (is_hot || rights_permit(b, c, s))
        carry_out[c->verb](b, c, s);
}

static void broker_carry_out(struct broker *b, struct command *c)
{
    struct outlet *o = outlet_find(b, c->from.outlet);
    b->actor = o != NULL ? o->access->user : NULL;
    if (carry_out_for_client(b, c, o))
        return;
    if (o == NULL) {
        command_drop(c);
        return;
    }
    struct stream *s = outlet_stream(b, o, c->from.stream);
    bool is_new = !s->has_begun;
    s->has_begun = true;
    b->statistics.channels_opened += is_new && !o->facts->hidden;
    s->channel = c->from.channel;
    if (is_new && c->verb != RESET && !command_begins(b, c, s))
        return;
    if (is_new && notice_is_on(b) && !o->facts->hidden)
        notice_channel(b, s, true);
    if (list_is_empty(&s->parked))
        carry_out_for_stream(b, c, s);
    else
        parked_follow(s, c);
}

/* Nearly every command is the next of a stream that has begun, is well, and waits for nothing: that one, or NULL. */
static inline struct stream *stream_at_ease(const struct broker *b, const struct command *c)
{
    const outlet_id id = c->from.outlet;
    const struct outlet *o = id.slot < b->outlet_count ? b->outlets[id.slot] : NULL;
    if (o == NULL || o->id.generation != id.generation || c->from.stream >= o->stream_count)
        return NULL;
    struct stream *s = o->streams[c->from.stream];
    bool is_at_ease = s != NULL && s->has_begun && !s->poisoned && list_is_empty(&s->parked);
    return is_at_ease ? s : NULL;
}

/* Carries out a publish that is like others, if it is that.  False: nothing has happened. */
static inline bool broker_publish_again(struct broker *b, struct command *c, bool *is_left)
{
    struct stream *s = stream_at_ease(b, c);
    if (s == NULL)
        return false;
    s->channel = c->from.channel;
    return command_publish_again(b, c, s, is_left);
}

/* The same for what settles. */
static inline bool broker_settle(struct broker *b, struct command *c)
{
    struct stream *s = stream_at_ease(b, c);
    if (s == NULL)
        return false;
    s->channel = c->from.channel;
    b->actor = s->outlet->access->user;
    b->changed = 0;
    command_settle(b, c, s);
    return true;
}

/* Does the command leave nothing to be done, by itself or by others? */
static inline bool is_finished(const struct broker *b)
{
    return list_is_empty(&b->dirty) && list_is_empty(&b->fresh) && list_is_empty(&b->deaths) &&
           !policy_must_refresh(b) && list_is_empty(&b->doomed) && list_is_empty(&b->posts) &&
           list_is_empty(&b->resumed) && list_is_empty(&b->letters.boxes) && list_is_empty(&b->dedup.held);
}

/* Goes on with what had to wait behind a GET. */
static void broker_resume(struct broker *b)
{
    struct command c;
    struct stream *s;
    while (parked_next(b, &s, &c)) {
        carry_out_for_stream(b, &c, s);
        broker_finish(b);
    }
}

/* Those who had to wait until all keys were learned. */
static void broker_let_in(struct broker *b)
{
    struct command c;
    while (dedup_next_held(b, &c)) {
        broker_carry_out(b, &c);
        broker_finish(b);
    }
}

/* It is set at once.  It clears a little below its limit and not within a second: at the limit, one message more or
 * less would set it off and on, and every publisher is told each time. */
static void check_alarms(struct broker *b)
{
    bool is_set = b->alarms != 0;
    uint64_t limit = is_set ? b->memory_high - b->memory_high / ALARM_GAP : b->memory_high;
    bool is_over =
        b->totals.message_bytes + b->bytes_outside + b->history_bytes + b->dedup.bytes + b->groups_bytes > limit;
    if (is_set && !is_over && b->now.ms < b->alarm_ms + ALARM_MS) {
        wakeup_set(b, &b->alarm_wakeup, b->alarm_ms + ALARM_MS);
    } else if (is_over != is_set) {
        b->alarms = is_over ? ALARM_MEMORY : 0;
        b->alarm_ms = b->now.ms;
        if (!is_over)
            cold_feed(b);
    }
    b->effects->alarms = b->alarms | b->alarms_outside | (b->cold.behind > 0 ? ALARM_BUSY : 0);
    if (b->effects->alarms != b->alarms_told)
        b->effects->alarms_changed = true;
    b->alarms_told = b->effects->alarms;
}

void broker_tune(struct broker *b, const struct broker_tuning *t)
{
    b->memory_high = t->memory_high;
    b->cold.paging_bytes = t->memory_high / 2;
    b->connections_max = t->connections_max;
    b->consumer_timeout_ms = t->consumer_timeout_ms > 0 ? t->consumer_timeout_ms : SPEC_NONE;
}

void broker_set_bytes_outside(struct broker *b, uint64_t bytes)
{
    b->bytes_outside = bytes;
}

void broker_set_alarm(struct broker *b, enum alarm alarm, bool is_set)
{
    CHECK(alarm != ALARM_MEMORY);
    if (is_set)
        b->alarms_outside |= alarm;
    else
        b->alarms_outside &= ~(unsigned)alarm;
}

void broker_shut_down(struct broker *b)
{
    b->is_shut_down = true;
}

void broker_step(struct broker *b, const struct instant *now, struct command *commands, size_t n, struct effects *out)
{
    b->deaths_left = DEATHS_PER_STEP;
    b->ends_left = ENDS_PER_STEP;
    b->removals_left = EXPIRED_PER_STEP + b->arrivals;
    b->arrivals = 0;
    b->refreshes_left = REFRESHES_PER_STEP;
    b->now = *now;
    b->effects = out;
    b->confirming = SIZE_MAX;
    if (!b->dedup.has_begun)
        dedup_begin_learning(b);
    fire_due(b);
    broker_finish(b);
    broker_let_go(b);
    broker_resume(b);
    for (size_t i = 0; i < n; i++) {
        struct command *c = &commands[i];
        bool is_left = true, is_plain = (c->verb == PUBLISH && broker_publish_again(b, c, &is_left)) ||
                                        (c->verb == SETTLE && broker_settle(b, c));
        if (!is_left)
            continue;
        if (!is_plain)
            broker_carry_out(b, c);
        if (is_finished(b)) {
            b->actor = NULL;
            continue;
        }
        broker_finish(b);
        b->actor = NULL;
        if (!list_is_empty(&b->resumed))
            broker_resume(b);
        if (!list_is_empty(&b->dedup.held))
            broker_let_in(b);
    }
    discard_some(b);
    check_alarms(b);
    cold_ask(b);
    dedup_ask(b);
    replay_ask(b);
    if (out->records.n > 0) {
        out->records.wall_ms = now->wall_ms;
        out->records.last = b->position;
    }
    b->effects = NULL;
}

struct broker_totals broker_totals(const struct broker *b)
{
    struct broker_totals t = b->totals;
    t.users = b->users.count;
    t.vhosts = b->vhosts.count;
    t.messages_out = b->tickets.used;
    return t;
}
