#define _GNU_SOURCE
#include "broker/perf/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "codec/table.h"

enum { EXPIRES_MS = 60000, ARGUMENTS_ROOM = 512, FLUSH_AT = 64 << 10 };

/* One name is as it was given; more have a number behind them, as long in each. */
static char *name_queue(const struct perf_options *o, unsigned i)
{
    char last[16];
    int digits = snprintf(last, sizeof last, "%u", o->queues - 1);
    if (o->queue == NULL)
        return str_format("perf.%d.%0*u", (int)getpid(), digits, i);
    if (o->queues == 1)
        return str_format("%s", o->queue);
    return str_format("%s-%0*u", o->queue, digits, i);
}

void topology_init(struct topology *t, const struct perf_options *o)
{
    *t = (struct topology){.o = o, .queues_count = o->queues, .copies = 1};
    t->exchange = o->exchange != NULL ? str_format("%s", o->exchange) : str_format("perf.%d", (int)getpid());
    t->queues = alloc_array(NULL, o->queues, sizeof *t->queues);
    for (unsigned i = 0; i < o->queues; i++)
        t->queues[i] = name_queue(o, i);
    t->keys = (const char *const *)t->queues;
    t->keys_count = o->queues;
    if (o->routing_key != NULL || o->is_fanout) {
        t->keys = o->routing_key != NULL ? &o->routing_key : t->keys;
        t->keys_count = 1;
        t->copies = t->exchange[0] != '\0' ? o->queues : 1;
    }
}

void topology_fini(struct topology *t)
{
    for (unsigned i = 0; i < t->queues_count; i++)
        free(t->queues[i]);
    free(t->queues);
    free(t->exchange);
    *t = (struct topology){0};
}

static void put(struct link *l, const void *method)
{
    link_put(l, 1, method);
    if (l->out_len >= FLUSH_AT)
        link_flush(l);
}

/* All that was put has been done when this answers. */
static void sync_with(struct link *l)
{
    link_call(l, 1, &(struct basic_qos){.id = METHOD_basic_qos}, METHOD_basic_qos_ok);
}

static void declare_queues(const struct topology *t, struct link *l)
{
    uint8_t room[ARGUMENTS_ROOM];
    struct pen p = pen_over(room, sizeof room);
    bool is_own = t->o->queue == NULL;
    if (is_own && t->o->consumers > 0)
        table_put_i64(&p, BYTES("x-expires"), EXPIRES_MS); /* it goes by itself if we die; our consumers keep it */
    if (t->o->queue_type != NULL)
        table_put_string(&p, BYTES("x-queue-type"), bytes_of_string(t->o->queue_type));
    for (unsigned i = 0; i < t->queues_count; i++)
        put(l, &(struct queue_declare){.id = METHOD_queue_declare,
                                       .queue = bytes_of_string(t->queues[i]),
                                       .durable = t->o->is_durable,
                                       .auto_delete = is_own && !t->o->is_durable,
                                       .no_wait = true,
                                       .arguments = pen_written(&p)});
}

static void bind_to(const struct topology *t, struct link *l, unsigned queue, const char *key)
{
    put(l, &(struct queue_bind){.id = METHOD_queue_bind,
                                .queue = bytes_of_string(t->queues[queue]),
                                .exchange = bytes_of_string(t->exchange),
                                .routing_key = bytes_of_string(key),
                                .no_wait = true});
}

void topology_other_key(const struct topology *t, uint64_t i, char to[TOPOLOGY_KEY_ROOM])
{
    enum { SHAPES = 3 };
    int word = (int)strcspn(t->keys[0], ".");
    snprintf(to, TOPOLOGY_KEY_ROOM, "%.*s.%sno%llu%s", word, t->keys[0], i % SHAPES == 1 ? "*." : "",
             (unsigned long long)i, i % SHAPES == 2 ? ".#" : "");
}

void topology_declare(const struct topology *t, struct link *l)
{
    char key[TOPOLOGY_KEY_ROOM];
    if (t->o->is_predeclared)
        return;
    declare_queues(t, l);
    if (t->exchange[0] == '\0') {
        sync_with(l);
        return;
    }
    put(l, &(struct exchange_declare){.id = METHOD_exchange_declare,
                                      .exchange = bytes_of_string(t->exchange),
                                      .type = bytes_of_string(t->o->exchange_type),
                                      .durable = t->o->is_durable,
                                      .auto_delete = t->o->exchange == NULL,
                                      .no_wait = true});
    for (unsigned i = 0; i < t->queues_count; i++)
        bind_to(t, l, i, t->keys[i < t->keys_count ? i : 0]);
    for (uint64_t i = 0; i < t->o->bindings; i++) {
        topology_other_key(t, i, key);
        bind_to(t, l, t->queues_count > 0 ? (unsigned)(i % t->queues_count) : 0, key);
    }
    sync_with(l);
}

void topology_delete(const struct topology *t, struct link *l)
{
    if (t->o->is_predeclared)
        return;
    for (unsigned i = 0; t->o->queue == NULL && i < t->queues_count; i++)
        put(l,
            &(struct queue_delete){.id = METHOD_queue_delete, .queue = bytes_of_string(t->queues[i]), .no_wait = true});
    if (t->o->exchange == NULL)
        put(l, &(struct exchange_delete){
                   .id = METHOD_exchange_delete, .exchange = bytes_of_string(t->exchange), .no_wait = true});
    sync_with(l);
}
