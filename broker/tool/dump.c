/* dump: every item of every file, a line each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/port/definition.h"
#include "broker/store/format.h"
#include "broker/tool/commands.h"
#include "broker/tool/text.h"
#include "broker/tool/walk.h"

struct dump {
    bool is_json;
    bool has_damage;
    uint64_t files;
};

static const char *type_name(uint8_t type, char *room, size_t n)
{
    static const char *const names[] = {
        [ITEM_PAD] = "PAD",       [ITEM_MESSAGE] = "MESSAGE", [ITEM_SETTLE] = "SETTLE", [ITEM_DELIVER] = "DELIVER",
        [ITEM_RETURN] = "RETURN", [ITEM_PURGE] = "PURGE",     [ITEM_DEFINE] = "DEFINE", [ITEM_UNDEFINE] = "UNDEFINE",
        [ITEM_COMMIT] = "COMMIT", [ITEM_BATCH] = "BATCH",     [ITEM_CHUNK] = "CHUNK",   [ITEM_QUEUE] = "QUEUE",
        [ITEM_PLACES] = "PLACES", [ITEM_STATE] = "STATE",     [ITEM_END] = "END",       [ITEM_RESTART] = "RESTART",
        [ITEM_TRIM] = "TRIM",
    };
    if (type < sizeof names / sizeof names[0] && names[type] != NULL)
        return names[type];
    snprintf(room, n, "TYPE-%u", type);
    return room;
}

/* ---- What is in metas. */

static void tell_place(json_t *list, const struct place *p, bool has_ttl)
{
    json_t *o = json_object();
    text_set_number(o, "queue", p->queue);
    text_set_number(o, "position", p->position);
    if (has_ttl && p->ttl_ms != PLACE_NO_TTL)
        text_set_number(o, "ttl_ms", p->ttl_ms);
    json_array_append_new(list, o);
}

static void tell_message(json_t *o, const struct item *item, enum item_verdict v)
{
    struct cursor c = cursor_over(item->meta);
    struct message_meta m;
    struct place p;
    if (!message_meta_read(&c, &m))
        return;
    json_t *places = json_array();
    for (uint32_t i = 0; i < m.n_places && place_read(&c, &p); i++)
        tell_place(places, &p, true);
    text_set(o, "places", places);
    if (m.replaces.queue != 0) {
        json_t *replaces = json_array();
        tell_place(replaces, &m.replaces, false);
        text_set(o, "replaces", replaces);
    }
    text_set_number(o, "written_ms", m.wall_ms);
    text_set_number(o, "size", m.body_size);
    if (v == ITEM_FINE && (size_t)m.exchange_len + m.key_len <= item->body.len) {
        text_set(o, "exchange", text_of(bytes_of(item->body.at, m.exchange_len)));
        text_set(o, "routing_key", text_of(bytes_of(item->body.at + m.exchange_len, m.key_len)));
    }
}

static void tell_runs(json_t *o, const struct item *item)
{
    struct run_reader r;
    struct run run;
    json_t *list = json_array();
    run_reader_init(&r, item->meta);
    while (run_next(&r, &run)) {
        json_t *one = json_object();
        text_set_number(one, "queue", run.queue);
        text_set_number(one, "first", run.first);
        text_set_number(one, "count", run.count);
        json_array_append_new(list, one);
    }
    text_set(o, "runs", list);
}

static void tell_definition(json_t *o, const struct item *item)
{
    struct cursor c = cursor_over(item->meta);
    enum definition_class what;
    uint64_t queue;
    struct bytes key, value, vhost, name;
    if (!definition_read(&c, &what, &queue, &key, &value))
        return;
    text_set(o, "class", json_string(definition_word(what)));
    if (queue != 0)
        text_set_number(o, "queue", queue);
    if (!definition_read_key(what, key, &vhost, &name)) {
        text_set(o, "key", text_of(key));
        return;
    }
    text_set(o, "vhost", text_of(vhost));
    if (what != DEFINE_VHOST)
        text_set(o, "name", text_of(name));
}

static void tell_batch(json_t *o, const struct item *item)
{
    struct cursor c = cursor_over(item->meta);
    struct batch_meta m;
    if (!batch_meta_read(&c, &m))
        return;
    text_set_number(o, "first_lsn", m.first_lsn);
    text_set_number(o, "count", m.count);
    text_set_number(o, "durable", m.durable);
    text_set_number(o, "position", m.position);
    text_set_number(o, "wall_ms", m.wall_ms);
}

static void tell_chunk(json_t *o, const struct item *item)
{
    struct cursor c = cursor_over(item->meta);
    struct chunk_meta m;
    if (!chunk_meta_read(&c, &m))
        return;
    text_set_number(o, "queue", m.queue);
    text_set_number(o, "chunk", m.chunk);
    text_set_number(o, "pack", m.pack);
    text_set_number(o, "at", m.offset);
    text_set_number(o, "size", m.size);
    text_set_number(o, "first", m.first);
    text_set_number(o, "last", m.last);
    text_set_number(o, "count", m.count);
    if (m.replaces != 0)
        text_set_number(o, "replaces", m.replaces);
}

/* Two numbers that begin the meta. */
static void tell_pair(json_t *o, const struct item *item, const char *first, const char *second)
{
    struct cursor c = cursor_over(item->meta);
    uint64_t a = cursor_varint(&c), b = cursor_varint(&c);
    if (c.bad)
        return;
    text_set_number(o, first, a);
    text_set_number(o, second, b);
}

static void tell_meta(json_t *o, const struct item *item, enum item_verdict v)
{
    switch (item->type) {
    case ITEM_MESSAGE:
        tell_message(o, item, v);
        break;
    case ITEM_SETTLE:
    case ITEM_DELIVER:
    case ITEM_RETURN:
        tell_runs(o, item);
        break;
    case ITEM_PURGE:
        tell_pair(o, item, "queue", "from");
        break;
    case ITEM_TRIM:
        tell_pair(o, item, "queue", "before");
        break;
    case ITEM_DEFINE:
    case ITEM_UNDEFINE:
        tell_definition(o, item);
        break;
    case ITEM_BATCH:
        tell_batch(o, item);
        break;
    case ITEM_CHUNK:
        tell_chunk(o, item);
        break;
    case ITEM_QUEUE:
        tell_pair(o, item, "queue", "next_position");
        break;
    case ITEM_PLACES:
        tell_pair(o, item, "queue", "count");
        break;
    case ITEM_STATE:
        tell_pair(o, item, "as_of_lsn", "first_segment");
        break;
    default:
        break;
    }
}

/* ---- Lines. */

/* In words a line begins with the file and the offset; in JSON they are fields like others. */
static void show(const struct dump *d, const struct walk_file *f, uint64_t offset, const char *word, json_t *o)
{
    enum { HEAD_MAX = 400 };
    char head[HEAD_MAX];
    snprintf(head, sizeof head, "%s %" PRIu64 " %s", f->name, offset, word);
    if (d->is_json) {
        text_set(o, "file", text_of(bytes_of_string(f->name)));
        text_set_number(o, "offset", offset);
        text_set(o, "item", json_string(word));
    }
    text_show(o, head, d->is_json);
}

static void on_begin(void *arg, const struct walk_file *f)
{
    static const char *const verdicts[] = {"fine", "foreign", "damaged", "newer"};
    struct dump *d = arg;
    json_t *o = json_object();
    d->files++;
    text_set_number(o, "size", f->size);
    if (f->kind == WALK_SPARE || f->kind == WALK_FOREIGN) {
        show(d, f, 0, f->kind == WALK_SPARE ? "SPARE" : "FOREIGN", o);
        return;
    }
    text_set(o, "header", json_string(f->is_unwritten ? "unwritten" : verdicts[f->verdict]));
    if (f->verdict == HEADER_FINE) {
        char version[sizeof f->header.version + 1] = "";
        memcpy(version, f->header.version, sizeof f->header.version);
        text_set(o, "format", json_pack("[ii]", f->header.major, f->header.minor));
        text_set_number(o, "number", f->header.number);
        text_set_number(o, "epoch", f->header.epoch);
        text_set_number(o, "first_lsn", f->header.first_lsn);
        text_set(o, "version", text_of(bytes_of_string(version)));
    }
    d->has_damage |= f->is_unreadable || (f->verdict != HEADER_FINE && !f->is_unwritten);
    show(d, f, 0, "FILE", o);
}

static void on_item(void *arg, const struct walk_file *f, uint64_t offset, const struct item *item, enum item_verdict v)
{
    struct dump *d = arg;
    char room[16];
    json_t *o = json_object();
    text_set_number(o, "lsn", item->lsn);
    text_set_number(o, "meta", item->meta.len);
    text_set_number(o, "body", item->body.len);
    if (item->flags & ITEM_TX)
        text_set(o, "tx", json_true());
    if (v != ITEM_FINE) {
        text_set(o, "damaged", json_string(v == ITEM_BAD_META ? "meta" : "body"));
        d->has_damage = true;
    }
    if (v != ITEM_BAD_META)
        tell_meta(o, item, v);
    show(d, f, offset, type_name(item->type, room, sizeof room), o);
}

static void on_damage(void *arg, const struct walk_file *f, uint64_t offset, uint64_t bytes, const char *reason)
{
    struct dump *d = arg;
    json_t *o = json_object();
    text_set_number(o, "bytes", bytes);
    text_set(o, "reason", json_string(reason));
    d->has_damage = true;
    show(d, f, offset, "DAMAGE", o);
}

static void on_end(void *arg, const struct walk_file *f)
{
    struct dump *d = arg;
    if (!f->is_torn)
        return;
    show(d, f, f->end, "TORN", json_object());
}

int command_dump(struct folder *f, const struct command *c)
{
    struct dump d = {.is_json = c->is_json};
    const struct walk_witness w = {.arg = &d, .begin = on_begin, .item = on_item, .damage = on_damage, .end = on_end};
    int error = walk_all(f->disk, &w);
    if (error == 0)
        return d.has_damage ? TOOL_TORN : TOOL_CLEAN;
    fprintf(stderr, "millrace-store: %s: %s\n", f->path, strerror(-error)); // NOLINT(concurrency-mt-unsafe)
    return TOOL_UNREADABLE;
}
