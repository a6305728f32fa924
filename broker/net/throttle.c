#include "broker/net/throttle.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"
#include "base/real.h"

/* A place, a user, or a pair. */
struct suspect {
    struct map_node in_map;
    struct link in_order;
    uint64_t fingerprint; /* a second hash: with the map's one as good as the name */
    double score;         /* at since_ms */
    uint64_t since_ms;
    double share; /* a pair's part of its place's score, at share_at_ms */
    uint64_t share_at_ms;
    uint64_t free_at_ms; /* when the last verdict in line is told */
    uint64_t log_at_ms;  /* how far ahead its lines are */
    unsigned suppressed;
};

struct shelf {
    struct map by_hash;
    struct list order; /* owned; the one whose last failure is longest ago first */
    size_t max;
};

struct identity {
    uint64_t hash, fingerprint;
};

struct throttle {
    uint64_t seed;
    pthread_mutex_t mutex; /* over all below */
    struct shelf places, users, pairs;
    uint64_t log_at_ms;
};

static void shelf_init(struct shelf *s, size_t max)
{
    map_init(&s->by_hash);
    list_init(&s->order);
    s->max = max;
}

static void suspect_remove(struct shelf *s, struct suspect *p)
{
    map_remove(&s->by_hash, &p->in_map);
    list_remove(&p->in_order);
    free(p);
}

static void shelf_fini(struct shelf *s)
{
    struct suspect *p;
    list_each (p, &s->order, struct suspect, in_order)
        free(p);
    map_fini(&s->by_hash);
}

struct throttle *throttle_create(uint64_t hash_seed)
{
    struct throttle *t = alloc_zeroed(sizeof *t);
    t->seed = hash_seed;
    pthread_mutex_init(&t->mutex, NULL);
    shelf_init(&t->places, THROTTLE_ENTRIES_MAX / 4);
    shelf_init(&t->users, THROTTLE_ENTRIES_MAX / 4);
    shelf_init(&t->pairs, THROTTLE_ENTRIES_MAX / 2);
    return t;
}

void throttle_destroy(struct throttle *t)
{
    if (t == NULL)
        return;
    shelf_fini(&t->places);
    shelf_fini(&t->users);
    shelf_fini(&t->pairs);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

static struct identity identify(const struct throttle *t, struct bytes name)
{
    return (struct identity){hash_bytes(name, t->seed), hash_bytes(name, ~t->seed)};
}

static struct identity identify_pair(struct identity place, struct identity user)
{
    return (struct identity){hash_mix(place.hash, user.hash), hash_mix(place.fingerprint, user.fingerprint)};
}

static struct suspect *find(const struct shelf *s, struct identity who)
{
    for (struct map_node *n = map_first(&s->by_hash, who.hash); n != NULL; n = map_next(n)) {
        struct suspect *p = item_of(n, struct suspect, in_map);
        if (p->fingerprint == who.fingerprint)
            return p;
    }
    return NULL;
}

static double decayed(double score, uint64_t since_ms, uint64_t now_ms)
{
    return now_ms <= since_ms ? score : score * real_exp2(-(double)(now_ms - since_ms) / THROTTLE_HALF_LIFE_MS);
}

static double score_at(const struct suspect *p, uint64_t now_ms)
{
    return p == NULL ? 0 : decayed(p->score, p->since_ms, now_ms);
}

static unsigned failures_at(const struct suspect *p, uint64_t now_ms)
{
    return (unsigned)(score_at(p, now_ms) + 0.5); /* never negative */
}

static bool is_suspect(const struct suspect *p, uint64_t now_ms)
{
    return failures_at(p, now_ms) >= THROTTLE_FREE;
}

static bool is_forgotten(const struct suspect *p, uint64_t now_ms)
{
    return failures_at(p, now_ms) == 0 && p->free_at_ms <= now_ms && p->log_at_ms <= now_ms;
}

/* Two at most that mean nothing any more, so that the shelf empties as it fills. */
static void make_room(struct shelf *s, uint64_t now_ms)
{
    for (int i = 0; i < 2 && !list_is_empty(&s->order); i++) {
        struct suspect *oldest = item_of(s->order.ring.next, struct suspect, in_order);
        if (s->by_hash.count < s->max && !is_forgotten(oldest, now_ms))
            return;
        suspect_remove(s, oldest);
    }
}

static struct suspect *find_or_add(struct shelf *s, struct identity who, uint64_t now_ms)
{
    struct suspect *p = find(s, who);
    if (p != NULL)
        return p;
    make_room(s, now_ms);
    p = alloc_zeroed(sizeof *p);
    p->fingerprint = who.fingerprint;
    p->since_ms = now_ms;
    map_add(&s->by_hash, &p->in_map, who.hash);
    list_append(&s->order, &p->in_order);
    return p;
}

/* Moves it to the end of those that may go. */
static void touch(struct shelf *s, struct suspect *p)
{
    if (p == NULL)
        return;
    list_remove(&p->in_order);
    list_append(&s->order, &p->in_order);
}

static uint64_t delay_ms(const struct suspect *p, uint64_t now_ms)
{
    unsigned n = failures_at(p, now_ms);
    if (n < THROTTLE_FREE)
        return 0;
    uint64_t delay = (uint64_t)THROTTLE_STEP_MS << (n - THROTTLE_FREE); /* n is THROTTLE_SCORE_MAX at most */
    return delay < THROTTLE_MAX_MS ? delay : THROTTLE_MAX_MS;
}

/* When a verdict may be told, behind all that are in line. */
static uint64_t turn_ms(const struct suspect *p, uint64_t now_ms)
{
    uint64_t from_ms = p != NULL && p->free_at_ms > now_ms ? p->free_at_ms : now_ms;
    return from_ms + delay_ms(p, now_ms);
}

static void add_score(struct suspect *p, double score, uint64_t now_ms)
{
    p->score = real_min(real_max(score_at(p, now_ms) + score, 0), THROTTLE_SCORE_MAX);
    p->since_ms = now_ms > p->since_ms ? now_ms : p->since_ms;
}

/* Takes a place in the line, until turn_ms; what is spent there does not count as time that heals. */
static void stand_in_line(struct suspect *p, uint64_t turn_ms)
{
    p->free_at_ms = turn_ms;
    p->since_ms = turn_ms > p->since_ms ? turn_ms : p->since_ms;
}

/* A pair that goes on failing keeps up its part of its place's score, and no more than that. */
static void add_share(struct suspect *place, struct suspect *pair, uint64_t now_ms)
{
    double share = decayed(pair->share, pair->share_at_ms, now_ms);
    double more = real_min(1, THROTTLE_PAIR_SHARE - share);
    add_score(place, more, now_ms);
    pair->share = share + more;
    pair->share_at_ms = now_ms;
}

struct attempt {
    struct identity place_id, user_id, pair_id;
    struct suspect *place, *user, *pair; /* NULL: not guilty of anything */
    uint64_t place_turn_ms, pair_turn_ms;
};

static void count_failure(struct throttle *t, struct attempt *a, uint64_t now_ms)
{
    a->place = find_or_add(&t->places, a->place_id, now_ms);
    a->user = find_or_add(&t->users, a->user_id, now_ms);
    a->pair = find_or_add(&t->pairs, a->pair_id, now_ms);
    add_share(a->place, a->pair, now_ms);
    add_score(a->user, 1, now_ms);
    add_score(a->pair, 1, now_ms);
    stand_in_line(a->place, a->place_turn_ms);
    stand_in_line(a->pair, a->pair_turn_ms);
    touch(&t->places, a->place);
    touch(&t->users, a->user);
    touch(&t->pairs, a->pair);
}

static void forgive(struct throttle *t, struct attempt *a, uint64_t now_ms)
{
    if (a->pair == NULL)
        return;
    if (a->place != NULL)
        add_score(a->place, -decayed(a->pair->share, a->pair->share_at_ms, now_ms), now_ms);
    if (a->user != NULL)
        add_score(a->user, -score_at(a->pair, now_ms), now_ms);
    suspect_remove(&t->pairs, a->pair);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct throttle_answer judge(struct throttle *t, struct attempt *a, bool is_right, uint64_t now_ms)
{
    a->place = find(&t->places, a->place_id);
    a->user = find(&t->users, a->user_id);
    a->pair = find(&t->pairs, a->pair_id);
    a->place_turn_ms = turn_ms(a->place, now_ms);
    a->pair_turn_ms = turn_ms(a->pair, now_ms);
    uint64_t tell_at_ms = later(a->place_turn_ms, a->pair_turn_ms);
    if (tell_at_ms > now_ms + THROTTLE_MAX_MS) {
        touch(&t->places, a->place); /* who goes on is not forgotten */
        touch(&t->pairs, a->pair);
        return (struct throttle_answer){.is_refused = true, .tell_at_ms = now_ms};
    }
    uint64_t user_ms = delay_ms(a->user, now_ms);
    if (user_ms > THROTTLE_USER_MAX_MS && !is_suspect(a->place, now_ms) && !is_suspect(a->pair, now_ms))
        user_ms = THROTTLE_USER_MAX_MS;
    tell_at_ms = later(tell_at_ms, now_ms + user_ms);
    if (is_right) {
        forgive(t, a, now_ms);
    } else {
        count_failure(t, a, now_ms);
        tell_at_ms = later(tell_at_ms, now_ms + THROTTLE_MIN_MS);
    }
    return (struct throttle_answer){.tell_at_ms = tell_at_ms};
}

struct throttle_answer throttle_judge(struct throttle *t, struct bytes place, struct bytes user, bool is_right,
                                      uint64_t now_ms)
{
    struct attempt a = {.place_id = identify(t, place), .user_id = identify(t, user)};
    a.pair_id = identify_pair(a.place_id, a.user_id);
    pthread_mutex_lock(&t->mutex);
    struct throttle_answer answer = judge(t, &a, is_right, now_ms);
    pthread_mutex_unlock(&t->mutex);
    return answer;
}

/* Is there room for a line, where each takes every_ms and burst may be ahead? */
static bool has_room(uint64_t at_ms, uint64_t now_ms, uint64_t every_ms, uint64_t burst)
{
    return at_ms <= now_ms + (burst - 1) * every_ms;
}

bool throttle_may_log(struct throttle *t, struct bytes place, uint64_t now_ms, unsigned *suppressed)
{
    struct identity who = identify(t, place);
    pthread_mutex_lock(&t->mutex);
    struct suspect *p = find_or_add(&t->places, who, now_ms);
    bool may = has_room(p->log_at_ms, now_ms, THROTTLE_LOG_EVERY_MS, THROTTLE_LOG_BURST) &&
               has_room(t->log_at_ms, now_ms, THROTTLE_LOG_ALL_EVERY_MS, THROTTLE_LOG_ALL_BURST);
    *suppressed = p->suppressed;
    if (may) {
        p->log_at_ms = later(p->log_at_ms, now_ms) + THROTTLE_LOG_EVERY_MS;
        t->log_at_ms = later(t->log_at_ms, now_ms) + THROTTLE_LOG_ALL_EVERY_MS;
        p->suppressed = 0;
    } else if (p->suppressed < UINT32_MAX) {
        p->suppressed++;
    }
    pthread_mutex_unlock(&t->mutex);
    return may;
}

size_t throttle_count(struct throttle *t)
{
    pthread_mutex_lock(&t->mutex);
    size_t n = t->places.by_hash.count + t->users.by_hash.count + t->pairs.by_hash.count;
    pthread_mutex_unlock(&t->mutex);
    return n;
}
