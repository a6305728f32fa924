/* The promises of broker/store/store.h, held against what was found. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "broker/port/message.h"
#include "tests/sim/marks.h"
#include "tests/sim/store_world.h"
#include "tests/sim/verdict.h"

typedef unsigned long long llu;

/* ---- The log. */

void world_remember(struct world *w, const struct naive_record *r)
{
    if (w->n_log == w->log_room) {
        w->log_room = alloc_grown(w->log_room, w->n_log + 1);
        w->log = alloc_array(w->log, w->log_room, sizeof *w->log);
    }
    struct naive_record *to = &w->log[w->n_log++];
    *to = *r;
    to->places = r->n_places == 0 ? NULL : alloc_copy(r->places, r->n_places * sizeof *r->places);
    naive_apply(&w->now, to);
    w->is_settled = false;
}

static void forget_front(struct world *w, size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        free(w->log[i].places);
    w->n_log -= n;
    memmove(w->log, w->log + n, w->n_log * sizeof *w->log);
}

static void forget_back(struct world *w, size_t n)
{
    while (n-- > 0)
        free(w->log[--w->n_log].places);
}

/* Publishes, and all of a transaction that has one, wait for their own word. */
static bool is_publish(const struct world *w, size_t i)
{
    bool is_one = w->log[i].kind == RECORD_PUBLISH;
    size_t from = i;
    while (from > 0 && w->log[from - 1].tx)
        from--;
    for (; w->log[from].tx && !is_one; from++)
        is_one = w->log[from].kind == RECORD_PUBLISH;
    return is_one;
}

static bool is_promised(const struct world *w, size_t i, uint64_t changes)
{
    return w->log[i].position <= w->durable || (w->log[i].position <= changes && !is_publish(w, i));
}

/* Does its being durable say anything?  Then so is what was written before it, promised or not. */
static bool is_change(const struct naive_record *r)
{
    return r->kind != RECORD_LOAD && r->kind != RECORD_DELIVER && r->kind != RECORD_RETURN;
}

/* What is durable cannot go any more. */
void world_durable(struct world *w)
{
    uint64_t changes = store_durable_changes(w->store);
    uint64_t durable = store_durable(w->store);
    if (durable < w->durable || durable > w->position || changes < durable || changes > w->position)
        verdict_fail("durable up to %llu after %llu, of %llu", (llu)durable, (llu)w->durable, (llu)w->position);
    w->durable = durable;
    w->durable_changes = changes;
    size_t n = 0;
    for (size_t i = 0; i < w->n_log; i++)
        if (is_change(&w->log[i]) && is_promised(w, i, changes))
            n = i + 1;
    while (n < w->n_log && is_promised(w, n, changes))
        n++;
    for (size_t i = 0; i < n; i++)
        naive_apply(&w->base, &w->log[i]);
    forget_front(w, n);
}

/* ---- Loads. */

static void check_entry(const struct naive_queue *q, const struct naive_entry *e, const struct load_entry *l)
{
    bool fine = l->position == e->position && letter_is(e->letter, l->msg) && l->written_ms == e->wall_ms &&
                l->ttl_ms == letter_ttl(e->letter) && l->deliveries == e->deliveries + e->is_out &&
                l->redelivered == (e->redelivered || e->is_out) &&
                l->persistent == ((l->msg->flags & MESSAGE_PERSISTENT) != 0);
    if (!fine)
        verdict_fail("queue %llu at %llu: letter %u was loaded, %u times, at %llu, should be %u, %u times%s",
                     (llu)q->id, (llu)e->position, letter_of(l->msg).number, l->deliveries, (llu)l->position,
                     e->letter.number, e->deliveries + e->is_out,
                     letter_is(letter_of(l->msg), l->msg) ? "" : "; its bytes are wrong");
}

/* As if it had been answered now. */
static void check_exact(const struct naive_queue *q, const struct ask *a, const struct load *l)
{
    uint64_t bytes = 0;
    uint32_t n = 0;
    size_t i = 0;
    while (q != NULL && i < q->n && q->entries[i].position < a->from)
        i++;
    for (; q != NULL && i < q->n && n < a->messages_max && bytes < a->bytes_max; i++, n++) {
        if (n == l->n)
            verdict_fail("queue %llu: a load from %llu ended after %u, though %llu is there", (llu)a->queue,
                         (llu)a->from, n, (llu)q->entries[i].position);
        check_entry(q, &q->entries[i], &l->entries[n]);
        bytes += message_cost(l->entries[n].msg);
    }
    bool is_end = q == NULL || i == q->n;
    if (l->n > n)
        verdict_fail("queue %llu: a load brought %u messages, should be %u", (llu)a->queue, l->n, n);
    if ((l->is_end && !is_end) || (is_end && !l->is_end && n == 0))
        verdict_fail("queue %llu: a load from %llu says end %d, should be %d", (llu)a->queue, (llu)a->from, l->is_end,
                     is_end);
    if ((n > 0 && l->next <= l->entries[n - 1].position) || (!is_end && l->next > q->entries[i].position))
        verdict_fail("queue %llu: a load goes on at %llu", (llu)a->queue, (llu)l->next);
    if (!is_end)
        mark_hit(MARK_load_part);
}

/* Some of what there is or was, in order. */
static void check_roughly(const struct ask *a, const struct load *l)
{
    uint64_t last = a->from == 0 ? 0 : a->from - 1;
    for (uint32_t i = 0; i < l->n; last = l->entries[i++].position)
        if ((l->entries[i].position <= last && (i > 0 || last > 0)) ||
            !letter_is(letter_of(l->entries[i].msg), l->entries[i].msg))
            verdict_fail("queue %llu: a load from %llu brought letter %u at %llu", (llu)a->queue, (llu)a->from,
                         letter_of(l->entries[i].msg).number, (llu)l->entries[i].position);
}

void check_answers(struct world *w, bool is_exact)
{
    for (size_t i = 0; i < w->n_answers; i++) {
        struct load *l = w->answers[i];
        size_t k = 0;
        while (k < w->n_asks && w->asks[k].queue != l->queue)
            k++;
        if (k == w->n_asks)
            verdict_fail("a load of queue %llu that nobody asked for", (llu)l->queue);
        if (l->lost > 0 && w->lost == 0)
            verdict_fail("queue %llu: a load lost %llu messages", (llu)l->queue, (llu)l->lost);
        if (is_exact)
            check_exact(naive_find(&w->now, l->queue), &w->asks[k], l);
        else
            check_roughly(&w->asks[k], l);
        if (!is_exact && !w->is_damaged)
            mark_hit(MARK_full_load);
        memmove(&w->asks[k], &w->asks[k + 1], (--w->n_asks - k) * sizeof w->asks[0]);
        load_destroy(l);
    }
    w->n_answers = 0;
    if (is_exact && w->n_asks > 0)
        verdict_fail("a load of queue %llu was not answered", (llu)w->asks[0].queue);
}

/* ---- What a recovery found. */

static uint32_t number_in(struct bytes b)
{
    char text[16] = "";
    CHECK(b.len > 1 && b.len < sizeof text);
    memcpy(text, b.at, b.len);
    return (uint32_t)strtoul(text + 1, NULL, 10);
}

static void on_definition(void *arg, enum definition_class what, uint64_t queue, struct bytes key, struct bytes value)
{
    const struct naive_definition d = {.what = what, .queue = queue, .key = number_in(key), .value = number_in(value)};
    naive_define(arg, &d);
}

struct found_queue {
    uint64_t messages;
};

static uint64_t found_messages[64];

static void on_queue(void *arg, uint64_t queue, uint64_t messages, uint64_t bytes, uint64_t next_position)
{
    struct naive *found = arg;
    struct naive_queue *q = naive_add_queue(found, queue);
    q->next_position = next_position;
    size_t i = (size_t)(q - found->queues);
    CHECK(i < 64);
    found_messages[i] = messages;
    if (messages == 0 && bytes != 0)
        verdict_fail("queue %llu is empty and has %llu bytes", (llu)queue, (llu)bytes);
}

static void on_answer(void *arg, struct load *l)
{
    struct world *w = arg;
    CHECK(w->n_answers < ASKS);
    w->answers[w->n_answers++] = l;
}

/* Loads all of it, piece by piece. */
static void find_messages(struct world *w, struct naive_queue *q)
{
    struct load *l = NULL;
    for (uint64_t from = 0, is_end = false; !is_end; from = l->next) {
        struct sheaf h;
        if (l != NULL)
            load_destroy(l);
        sheaf_init(&h);
        struct record *r = sheaf_add(&h, RECORD_LOAD);
        r->at = (struct place){.queue = q->id, .position = from};
        r->load.messages_max = 1 + rng_below(&w->rng, 400);
        r->load.bytes_max = 1 + rng_below(&w->rng, 200000);
        h.last = ++w->position;
        store_append(w->store, &h, on_answer, w);
        if (store_write(w->store) != STORE_FINE || w->n_answers != 1)
            verdict_fail("a load after recovery was not answered");
        l = w->answers[--w->n_answers];
        is_end = l->is_end;
        if (l->n == 0 && !is_end && l->lost == 0 && l->next <= from)
            verdict_fail("queue %llu: loads from %llu get nowhere", (llu)q->id, (llu)from);
        for (uint32_t i = 0; i < l->n; i++) {
            const struct load_entry *e = &l->entries[i];
            struct letter letter = letter_of(e->msg);
            if (!letter_is(letter, e->msg) || e->ttl_ms != letter_ttl(letter))
                verdict_fail("queue %llu at %llu: wrong bytes", (llu)q->id, (llu)e->position);
            if (e->position < from || (q->n > 0 && e->position <= q->entries[q->n - 1].position))
                verdict_fail("queue %llu at %llu: out of order", (llu)q->id, (llu)e->position);
            struct naive_entry *n = naive_add_entry(q, e->position, letter);
            n->wall_ms = e->written_ms;
            n->deliveries = e->deliveries;
            n->redelivered = e->redelivered;
        }
    }
    load_destroy(l);
}

/* Reads all that the store knows.  found is empty. */
static void find_all(struct world *w, struct naive *found)
{
    const struct store_reader reader = {.arg = found, .definition = on_definition, .queue = on_queue};
    store_read(w->store, &reader);
    for (size_t i = 0; i < found->n_queues; i++) {
        struct naive_queue *q = &found->queues[i];
        uint64_t next = q->next_position, lost = w->lost;
        find_messages(w, q);
        if (q->next_position != next)
            verdict_fail("queue %llu: next position %llu, and a message at %llu", (llu)q->id, (llu)next,
                         (llu)q->next_position - 1);
        if (q->n + (w->lost - lost) != found_messages[i])
            verdict_fail("queue %llu: %llu messages counted, %zu loaded", (llu)q->id, (llu)found_messages[i], q->n);
    }
    image_check(&w->store->image);
}

static bool may_end(const struct world *w, size_t n)
{
    return n == 0 || !w->log[n - 1].tx;
}

/* How many records of the log were found; all that differ are in `text`.  SIZE_MAX: it is no prefix. */
static size_t find_prefix(const struct world *w, const struct naive *found, bool is_all, bool is_suspect,
                          const char **text)
{
    struct naive s;
    size_t best = SIZE_MAX;
    naive_init(&s);
    naive_copy(&s, &w->base);
    for (size_t n = 0; n <= w->n_log; n++) {
        if (n > 0)
            naive_apply(&s, &w->log[n - 1]);
        if (!may_end(w, n) || (is_all && n < w->n_log))
            continue;
        *text = naive_differs(found, &s, is_suspect);
        if (*text == NULL)
            best = n;
    }
    naive_fini(&s);
    return best;
}

static void tell_prefixes(const struct world *w, const struct naive *found, bool is_suspect)
{
    struct naive s;
    naive_init(&s);
    naive_copy(&s, &w->base);
    for (size_t n = 0; n <= w->n_log; n++) {
        const struct naive_record *r = n > 0 ? &w->log[n - 1] : NULL;
        if (r != NULL)
            naive_apply(&s, r);
        const char *text = naive_differs(found, &s, is_suspect);
        verdict_note("with %zu (position %llu: kind %d%s, queue %llu at %llu): %s", n, r ? (llu)r->position : 0,
                     r ? r->kind : -1, r && r->tx ? " tx" : "", r ? (llu)r->at.queue : 0, r ? (llu)r->at.position : 0,
                     text ? text : "the same");
    }
    naive_fini(&s);
}

static void mark_tail(const struct world *w, size_t kept)
{
    bool tx_kept = false, tx_cut = false;
    for (size_t i = 0; i < w->n_log; i++) {
        tx_kept |= i < kept && w->log[i].kind == RECORD_COMMIT;
        tx_cut |= i >= kept && w->log[i].kind == RECORD_COMMIT;
    }
    for (size_t i = kept; i < w->n_log; i++)
        if (w->log[i].kind == RECORD_PUBLISH && w->log[i].position < w->durable_changes)
            mark_hit(MARK_stuck_lost);
    if (kept > 0)
        mark_hit(MARK_tail_kept);
    if (kept < w->n_log)
        mark_hit(MARK_tail_cut);
    if (tx_kept)
        mark_hit(MARK_tx_kept);
    if (tx_cut)
        mark_hit(MARK_tx_cut);
}

/* The log goes on from what was found; what is not known to be durable becomes so with the first that is. */
static void go_on_from(struct world *w, const struct naive *found, bool is_suspect)
{
    const struct naive_record restart = {.kind = NAIVE_RESTART, .is_suspect = is_suspect, .position = 1};
    for (size_t i = 0; i < w->n_log; i++)
        w->log[i].position = 1;
    naive_copy(&w->now, &w->base);
    for (size_t i = 0; i < w->n_log; i++)
        naive_apply(&w->now, &w->log[i]);
    world_remember(w, &restart);
    w->durable = w->durable_changes = 0;
    w->position = w->position > 0 ? w->position : 1;
    w->queues = store_next_queue(w->store);
    for (size_t i = 0; i < found->n_queues; i++)
        if (found->queues[i].id >= w->queues)
            verdict_fail("queue %llu is there, and the next would be %llu", (llu)found->queues[i].id, (llu)w->queues);
}

void check_recovered(struct world *w, bool is_all)
{
    struct naive found;
    const char *text = NULL;
    naive_init(&found);
    w->position = 0;
    find_all(w, &found);
    if (w->lost + w->lost_anyhow > 0)
        verdict_fail("recovery reported a loss, and there was no damage");
    bool is_suspect = false;
    size_t kept = find_prefix(w, &found, is_all, is_suspect, &text);
    if (kept == SIZE_MAX && !w->was_closed) {
        is_suspect = true;
        kept = find_prefix(w, &found, is_all, is_suspect, &text);
    }
    if (kept == SIZE_MAX) {
        tell_prefixes(w, &found, is_suspect);
        verdict_fail("what was recovered is not what was appended%s: %s", is_all ? ", all of it" : "", text);
    }
    verdict_note("recovered: %zu of %zu records that were not known to be durable", kept, w->n_log);
    mark_tail(w, kept);
    forget_back(w, w->n_log - kept);
    go_on_from(w, &found, is_suspect);
    naive_fini(&found);
}

/* ---- Damage. */

/* Of what was durable and never was settled since. */
static uint64_t missing_in(struct world *w, struct naive *found)
{
    uint64_t n = 0;
    const struct naive *should = &w->base;
    for (size_t i = 0; i < should->n_queues; i++) {
        struct naive_queue *now = naive_find(&w->now, should->queues[i].id);
        struct naive_queue *f = naive_find(found, should->queues[i].id);
        if (!should->queues[i].is_defined || now == NULL)
            continue;
        for (size_t k = 0; k < should->queues[i].n; k++) {
            uint64_t position = should->queues[i].entries[k].position;
            if (naive_entry(f, position) != NULL || naive_entry(now, position) == NULL)
                continue;
            n++;
            verdict_note("missing: queue %llu at %llu", (llu)should->queues[i].id, (llu)position);
        }
    }
    return n;
}

/* After damage: everything that is missing was reported, and what is there is right. */
void check_damaged(struct world *w, bool is_marked)
{
    struct naive found;
    const char *text = NULL;
    naive_init(&found);
    w->position = 0;
    find_all(w, &found);
    bool is_told = w->lost + w->lost_anyhow > 0;
    size_t kept = find_prefix(w, &found, false, true, &text);
    if (kept == SIZE_MAX)
        kept = find_prefix(w, &found, false, false, &text);
    if (kept == SIZE_MAX && !is_told && is_marked) {
        tell_prefixes(w, &found, true);
        verdict_fail("damage changed what was recovered, and nobody was told: %s", text);
    }
    uint64_t missing = missing_in(w, &found);
    if (missing > w->lost && w->lost_anyhow == 0 && kept == SIZE_MAX && is_marked) {
        tell_prefixes(w, &found, true);
        verdict_fail("%llu messages are missing, %llu were reported", (llu)missing, (llu)w->lost);
    }
    if (is_marked)
        mark_hit(is_told ? MARK_rot_lost : MARK_rot_nothing);
    verdict_note("damage: %llu messages missing, %llu reported, and %llu items", (llu)missing, (llu)w->lost,
                 (llu)w->lost_anyhow);
    forget_back(w, w->n_log);
    naive_copy(&w->base, &found);
    go_on_from(w, &found, false);
    naive_fini(&found);
}
