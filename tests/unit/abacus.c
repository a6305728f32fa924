#include "tests/unit/abacus.h"

#include "base/check.h"
#include "broker/model/statistics.h"

static void watch_delivery(struct abacus *a, const struct event *e, enum sample_counter how)
{
    a->counts[how]++;
    a->counts[COUNT_REDELIVER] += e->delivered.redelivered;
}

static void watch(struct abacus *a, const struct event *e)
{
    switch ((int)e->what) {
    case DELIVERED:
        watch_delivery(a, e, e->delivered.no_ack ? COUNT_DELIVER_NO_ACK : COUNT_DELIVER);
        break;
    case GOT:
        watch_delivery(a, e, e->delivered.no_ack ? COUNT_GET_NO_ACK : COUNT_GET);
        break;
    case EMPTY:
        a->counts[COUNT_GET_EMPTY]++;
        break;
    case RETURNED:
        a->counts[COUNT_RETURN_UNROUTABLE]++;
        break;
    case CONFIRMED:
        a->counts[COUNT_CONFIRM] += 1 + e->confirmed.more;
        break;
    case REFUSED:
        a->refused += 1 + e->confirmed.more;
        break;
    default:
        break;
    }
}

void abacus_watch(struct abacus *a, const struct broker *b, const struct effects *e)
{
    if (b->statistics.last_id < a->last_id)
        *a = (struct abacus){.watched = a->watched};
    a->last_id = b->statistics.last_id;
    for (; a->watched < e->n; a->watched++)
        watch(a, &e->events[a->watched]);
}

void abacus_forget(struct abacus *a)
{
    a->watched = 0;
}

void abacus_check(const struct abacus *a, struct broker *b)
{
    static const enum sample_counter told[] = {COUNT_DELIVER,    COUNT_DELIVER_NO_ACK,   COUNT_GET,
                                               COUNT_GET_NO_ACK, COUNT_GET_EMPTY,        COUNT_REDELIVER,
                                               COUNT_CONFIRM,    COUNT_RETURN_UNROUTABLE};
    const struct tallies *t = statistics_fold(b);
    uint64_t counts[COUNTERS];
    tallies_counts(t, counts);
    tally_counts(&b->statistics.unlisted_tally, counts); /* of reply addresses */
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        CHECK(counts[told[i]] == a->counts[told[i]]);
    CHECK(t->refused == a->refused);
}
