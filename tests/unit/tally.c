#include "tests/unit/tally.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/port/message.h"
#include "codec/table.h"
#include "tests/unit/unit.h"

struct event *tally_ask(struct world *w, struct command c)
{
    world_forget(w);
    world_do(w, c, DESK_GENERATION, 0);
    struct event *e = world_next(w);
    assert_int_equal(e->what, DONE);
    return e;
}

struct inspection *tally_inspect(struct world *w, enum inspection_kind what, const char *name)
{
    struct bytes vhost = BYTES("/"), named = name != NULL ? bytes_of_string(name) : (struct bytes){0};
    bool is_in_vhost = what == INSPECT_QUEUES || what == INSPECT_EXCHANGES;
    struct inspection *i = inspection_create(what, is_in_vhost ? &vhost : NULL, name != NULL ? &named : NULL);
    struct event *e = tally_ask(w, (struct command){.verb = INSPECT, .inspection = i});
    i = e->done.inspection;
    e->done.inspection = NULL;
    return i;
}

uint64_t tally_number_in(const struct inspection *i, const char *table, const char *key)
{
    size_t at = 0;
    struct bytes row;
    struct field f;
    assert_true(inspection_next(i, &at, &row));
    if (table != NULL && (!table_find(row, bytes_of_string(table), &f) || f.type != 'F'))
        return 0;
    if (table != NULL)
        row = f.bytes;
    return table_find(row, bytes_of_string(key), &f) ? (uint64_t)f.integer : 0;
}

uint64_t tally_number(struct world *w, enum inspection_kind what, const char *name, const char *table, const char *key)
{
    struct inspection *i = tally_inspect(w, what, name);
    uint64_t n = tally_number_in(i, table, key);
    inspection_destroy(i);
    return n;
}

uint64_t tally_queue(struct world *w, const char *queue, enum sample_counter counter)
{
    return tally_number(w, INSPECT_QUEUES, queue, "statistics", sample_names[counter]);
}

uint64_t tally_exchange(struct world *w, const char *exchange, enum sample_counter counter)
{
    return tally_number(w, INSPECT_EXCHANGES, exchange, "statistics", sample_names[counter]);
}

uint64_t tally_total(struct world *w, const char *key)
{
    return tally_number(w, INSPECT_TOTALS, NULL, NULL, key);
}

uint64_t tally_type(struct world *w, const char *type, const char *key)
{
    return tally_number(w, INSPECT_TOTALS, NULL, type, key);
}

uint64_t tally_channels(struct world *w, enum sample_counter counter)
{
    struct inspection *i = tally_inspect(w, INSPECT_CHANNELS, NULL);
    uint64_t n = 0;
    struct bytes row;
    struct field f, g;
    for (size_t at = 0; inspection_next(i, &at, &row);)
        if (table_find(row, BYTES("statistics"), &f) && table_find(f.bytes, bytes_of_string(sample_names[counter]), &g))
            n += (uint64_t)g.integer;
    inspection_destroy(i);
    return n;
}

void tally_publish_from(struct world *w, unsigned stream, struct tally_publish p)
{
    struct message *m = message_create(&(struct message_spec){.exchange = bytes_of_string(p.exchange),
                                                              .routing_key = bytes_of_string(p.key),
                                                              .properties = bytes_of("\0\0", 2),
                                                              .body_size = p.size,
                                                              .flags = p.persistent ? MESSAGE_PERSISTENT : 0,
                                                              .expiration_ms = MESSAGE_NO_EXPIRATION});
    uint8_t *body = alloc_zeroed(p.size + 1);
    message_fill(m, bytes_of(body, p.size));
    free(body);
    world_do(w,
             (struct command){.verb = PUBLISH, .publish = {.msg = m, .mandatory = p.mandatory, .confirm = p.confirm}},
             0, stream);
}

void tally_publish(struct world *w, struct tally_publish p, unsigned times)
{
    while (times-- > 0)
        tally_publish_from(w, 0, p);
}

void tally_get(struct world *w, const char *queue, bool no_ack)
{
    struct spec *s = spec_create(&(struct spec){.name = bytes_of_string(queue), .no_ack = no_ack});
    world_do(w, (struct command){.verb = GET, .spec = s}, 0, 0);
}

void tally_declare(struct world *w, const char *name, struct queue_options o)
{
    world_queue(w, 0, name, &(struct spec){.options = o, .durable = true});
}

void tally_delete_queue(struct world *w, const char *name)
{
    struct spec *s = spec_create(&(struct spec){.name = bytes_of_string(name)});
    world_do(w, (struct command){.verb = DELETE_QUEUE, .spec = s}, 0, 0);
}

ticket tally_last_ticket(const struct world *w)
{
    const struct event *e = &w->effects.events[w->effects.n - 1];
    assert_true(e->what == DELIVERED || e->what == GOT);
    return e->delivered.ticket;
}
