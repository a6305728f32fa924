#include "tests/talk/wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/frame.h"
#include "codec/method.h"
#include "codec/properties.h"

enum { BASIC = 60 };

struct property {
    const char *name;
    uint16_t bit;
    enum wire wire;
};

static const struct property all_properties[] = {
#define PROPERTY(name, bit, wire) {#name, bit, WIRE_##wire},
#include "codec/properties.def"
};
enum { PROPERTIES = sizeof all_properties / sizeof all_properties[0] };

static const struct method_info *method_named(const char *name)
{
    const struct method_info *m;
    for (unsigned i = 0; (m = method_at(i)) != NULL; i++)
        if (name_equal(m->name, name))
            return m;
    return NULL;
}

uint32_t wire_method(const char *name)
{
    const struct method_info *m = method_named(name);
    return m == NULL ? 0 : m->id;
}

/* ---- Sending. */

static void add_frame(struct buffer *out, uint8_t type, uint16_t channel, struct bytes payload)
{
    uint8_t head[FRAME_HEAD], end = FRAME_END;
    struct pen p = pen_over(head, sizeof head);
    pen_u8(&p, type);
    pen_u16(&p, channel);
    pen_u32(&p, (uint32_t)payload.len);
    buffer_add(out, pen_written(&p));
    buffer_add(out, payload);
    buffer_add(out, bytes_of(&end, 1));
}

/* No fewer bytes than a line's method or content header takes. */
static size_t room_for(const struct words *w)
{
    size_t size = 64;
    for (unsigned i = 0; i < w->n; i++)
        if (w->arguments[i].value != NULL &&
            (w->arguments[i].name == NULL || strcmp(w->arguments[i].name, "body") != 0))
            size += value_size(w->arguments[i].value);
    return size;
}

static struct bytes inside(const struct value *v, struct scratch *scratch)
{
    size_t size = value_size(v);
    struct pen p = pen_over(scratch_take(scratch, size), size);
    value_put_inside(v, &p);
    return pen_written(&p);
}

static const char *set_field(union method *m, const struct method_field *f, const struct value *v, struct scratch *s)
{
    uint8_t *at = (uint8_t *)m + f->offset;
    struct bytes b = v->bytes;
    bool yes = v->integer != 0;
    uint8_t octet = (uint8_t)v->integer;
    uint16_t two = (uint16_t)v->integer;
    uint32_t four = (uint32_t)v->integer;
    bool is_string = f->wire == WIRE_shortstr || f->wire == WIRE_rawstr || f->wire == WIRE_longstr;
    if (v->kind != (is_string               ? VALUE_BYTES
                    : f->wire == WIRE_table ? VALUE_TABLE
                                            : VALUE_INTEGER) &&
        !(f->wire == WIRE_table && v->kind == VALUE_BYTES))
        return "a value of the wrong kind";
    switch (f->wire) {
    case WIRE_bit:
        memcpy(at, &yes, sizeof yes);
        break;
    case WIRE_u8:
        memcpy(at, &octet, sizeof octet);
        break;
    case WIRE_u16:
        memcpy(at, &two, sizeof two);
        break;
    case WIRE_u32:
        memcpy(at, &four, sizeof four);
        break;
    case WIRE_u64:
        memcpy(at, &v->integer, sizeof v->integer);
        break;
    case WIRE_table:
        if (v->kind == VALUE_TABLE)
            b = inside(v, s);
        memcpy(at, &b, sizeof b);
        break;
    case WIRE_shortstr:
    case WIRE_rawstr:
    case WIRE_longstr:
        memcpy(at, &b, sizeof b);
        break;
    case WIRE_END:
        break;
    }
    return NULL;
}

static const struct method_field *field_named(const struct method_info *info, const char *name)
{
    for (const struct method_field *f = info->fields; f->wire != WIRE_END; f++)
        if (name_equal(f->name, name))
            return f;
    return NULL;
}

static bool is_ours(const struct argument *a)
{
    static const char *const names[] = {"alone", "channel", "properties", "raw-properties",
                                        "body",  "frames",  "payload"};
    if (a->name == NULL)
        return false;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (name_equal(names[i], a->name))
            return true;
    return false;
}

static const char *put_property(struct pen *p, const struct property *how, const struct value *v)
{
    uint8_t *mark;
    switch (how->wire) {
    case WIRE_u8:
        pen_u8(p, (uint8_t)v->integer);
        return NULL;
    case WIRE_u64:
        pen_u64(p, v->integer);
        return NULL;
    case WIRE_table:
        mark = pen_length(p);
        if (v->kind == VALUE_BYTES)
            pen_bytes(p, v->bytes);
        else
            value_put_inside(v, p);
        pen_fill(p, mark);
        return NULL;
    case WIRE_shortstr:
        pen_shortstr(p, v->bytes);
        return v->kind == VALUE_BYTES ? NULL : "a property that is not a string";
    case WIRE_END:
    case WIRE_bit:
    case WIRE_u16:
    case WIRE_u32:
    case WIRE_rawstr:
    case WIRE_longstr:
        break;
    }
    return "a property of a strange kind";
}

static const struct value *entry_named(const struct value *table, const char *name)
{
    for (const struct value *e = table == NULL ? NULL : table->first; e != NULL; e = e->next)
        if (e->key.len == strlen(name) && name_equal((const char *)e->key.at, name))
            return e;
    return NULL;
}

/* Flags and values. */
static const char *put_properties(const struct words *w, struct pen *p)
{
    const struct value *raw = words_value(w, "raw-properties"), *table = words_value(w, "properties");
    if (raw != NULL) {
        pen_bytes(p, raw->bytes);
        return NULL;
    }
    unsigned flags = 0, known = 0, said = 0;
    for (unsigned i = 0; i < PROPERTIES; i++)
        if (entry_named(table, all_properties[i].name) != NULL) {
            flags |= all_properties[i].bit;
            known++;
        }
    for (const struct value *e = table == NULL ? NULL : table->first; e != NULL; e = e->next)
        said++;
    pen_u16(p, (uint16_t)flags);
    const char *error = said == known ? NULL : "no such property";
    for (unsigned i = 0; i < PROPERTIES && error == NULL; i++) {
        const struct value *v = entry_named(table, all_properties[i].name);
        if (v != NULL)
            error = put_property(p, &all_properties[i], v);
    }
    return error;
}

static const char *add_content_header(const struct words *w, uint64_t size, uint16_t channel, struct buffer *out)
{
    struct scratch scratch = {0};
    size_t room = room_for(w);
    struct pen p = pen_over(scratch_take(&scratch, room), room);
    pen_u16(&p, (uint16_t)words_integer(w, "class", BASIC));
    pen_u16(&p, (uint16_t)words_integer(w, "weight", 0));
    pen_u64(&p, size);
    const char *error = put_properties(w, &p);
    add_frame(out, FRAME_HEADER, channel, pen_written(&p));
    scratch_fini(&scratch);
    return p.full ? "too much for one content header" : error;
}

static void add_body(struct bytes body, uint32_t frame_max, uint16_t channel, struct buffer *out)
{
    size_t most = frame_max - FRAME_OVERHEAD;
    for (size_t at = 0; at < body.len; at += most)
        add_frame(out, FRAME_BODY, channel, bytes_of(body.at + at, body.len - at < most ? body.len - at : most));
}

static const char *send_method(const struct words *w, uint16_t channel, uint32_t frame_max, struct buffer *out)
{
    const struct method_info *info = method_named(w->verb);
    if (info == NULL)
        return "no such method";
    struct scratch scratch = {0};
    union method m = {.id = info->id};
    const char *error = NULL;
    for (unsigned i = 0; i < w->n && error == NULL; i++) {
        const struct argument *a = &w->arguments[i];
        if (is_ours(a))
            continue;
        const struct method_field *f = a->name == NULL ? NULL : field_named(info, a->name);
        error = f == NULL || a->value == NULL ? "no such field" : set_field(&m, f, a->value, &scratch);
    }
    size_t room = room_for(w);
    struct pen p = pen_over(scratch_take(&scratch, room), room);
    method_encode(&p, &m);
    if (error == NULL && p.full)
        error = "the method does not fit";
    add_frame(out, FRAME_METHOD, channel, pen_written(&p));
    if (error == NULL && (info->flags & HAS_CONTENT) != 0 && !words_has(w, "alone")) {
        struct bytes body = words_bytes(w, "body", (struct bytes){0});
        error = add_content_header(w, body.len, channel, out);
        add_body(body, frame_max, channel, out);
    }
    scratch_fini(&scratch);
    return error;
}

static const char *send_frame(const struct words *w, uint16_t channel, struct buffer *out)
{
    struct bytes payload = words_bytes(w, "payload", (struct bytes){0});
    uint8_t head[FRAME_HEAD], end = (uint8_t)words_integer(w, "end", FRAME_END);
    struct pen p = pen_over(head, sizeof head);
    pen_u8(&p, (uint8_t)words_integer(w, "type", FRAME_METHOD));
    pen_u16(&p, channel);
    pen_u32(&p, (uint32_t)words_integer(w, "size", payload.len));
    buffer_add(out, pen_written(&p));
    buffer_add(out, payload);
    buffer_add(out, bytes_of(&end, 1));
    return NULL;
}

const char *wire_send(const struct words *w, uint16_t channel, uint32_t frame_max, struct buffer *out)
{
    const struct value *v = words_first_value(w);
    if (strcmp(w->verb, "protocol-header") == 0)
        buffer_add(out, bytes_of("AMQP\0\0\x09\x01", 8));
    else if (strcmp(w->verb, "heartbeat") == 0)
        add_frame(out, FRAME_HEARTBEAT, channel, (struct bytes){0});
    else if (strcmp(w->verb, "frame") == 0)
        return send_frame(w, channel, out);
    else if (strcmp(w->verb, "content-header") == 0)
        return add_content_header(w, words_integer(w, "size", 0), channel, out);
    else if (strcmp(w->verb, "content-body") == 0 && v != NULL)
        add_frame(out, FRAME_BODY, channel, v->bytes);
    else if (strcmp(w->verb, "bytes") == 0 && v != NULL)
        buffer_add(out, v->bytes);
    else
        return send_method(w, channel, frame_max, out);
    return NULL;
}

/* ---- What came. */

void arrival_destroy(struct arrival *a)
{
    if (a == NULL)
        return;
    scratch_fini(&a->memory);
    buffer_fini(&a->body);
    free(a);
}

bool arrival_is_whole(const struct arrival *a)
{
    return !a->has_content || (a->has_header && a->body.end - a->body.start >= a->body_size);
}

uint32_t arrival_method(const struct arrival *a)
{
    struct cursor c = cursor_over(a->payload);
    return a->type != FRAME_METHOD || a->payload.len < 4 ? 0 : cursor_u32(&c);
}

const char *arrival_name(const struct arrival *a)
{
    const struct method_info *info = a->type == FRAME_METHOD ? method_find(arrival_method(a)) : NULL;
    if (info != NULL)
        return info->name;
    return a->type == FRAME_HEARTBEAT ? "heartbeat" : "frame";
}

static bool match_field(const struct method_field *f, const union method *m, const struct value *v,
                        struct variables *vars)
{
    const uint8_t *at = (const uint8_t *)m + f->offset;
    bool yes;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    struct bytes b;
    switch (f->wire) {
    case WIRE_bit:
        memcpy(&yes, at, sizeof yes);
        return value_match_integer(v, vars, yes);
    case WIRE_u8:
        return value_match_integer(v, vars, *at);
    case WIRE_u16:
        memcpy(&two, at, sizeof two);
        return value_match_integer(v, vars, two);
    case WIRE_u32:
        memcpy(&four, at, sizeof four);
        return value_match_integer(v, vars, four);
    case WIRE_u64:
        memcpy(&eight, at, sizeof eight);
        return value_match_integer(v, vars, eight);
    case WIRE_shortstr:
    case WIRE_rawstr:
    case WIRE_longstr:
        memcpy(&b, at, sizeof b);
        return value_match_bytes(v, vars, b);
    case WIRE_table:
        memcpy(&b, at, sizeof b);
        return value_match_table(v, vars, b);
    case WIRE_END:
        break;
    }
    return false;
}

/* Class, weight and size come before the flags. */
static struct cursor properties_of(const struct arrival *a)
{
    struct cursor c = cursor_over(a->header);
    cursor_take(&c, 12);
    return c;
}

/* Takes a property's value off c: a number in *n, or bytes. */
static struct bytes take_property(struct cursor *c, const struct property *how, uint64_t *n)
{
    if (how->wire == WIRE_table)
        return cursor_longstr(c);
    if (how->wire == WIRE_shortstr)
        return cursor_shortstr(c);
    *n = how->wire == WIRE_u8 ? cursor_u8(c) : cursor_u64(c);
    return (struct bytes){0};
}

static bool match_properties(const struct value *table, struct variables *vars, const struct arrival *a,
                             const char **differs)
{
    struct cursor c = properties_of(a);
    uint16_t flags = cursor_u16(&c);
    for (unsigned i = 0; i < PROPERTIES; i++) {
        const struct property *how = &all_properties[i];
        const struct value *v = entry_named(table, how->name);
        bool there = (flags & how->bit) != 0;
        uint64_t n = 0;
        struct bytes b = {0};
        *differs = how->name;
        if (there)
            b = take_property(&c, how, &n);
        if (v == NULL && there && !table->open)
            return false;
        if (v == NULL)
            continue;
        bool same = there && (how->wire == WIRE_table      ? value_match_table(v, vars, b)
                              : how->wire == WIRE_shortstr ? value_match_bytes(v, vars, b)
                                                           : value_match_integer(v, vars, n));
        if (!same)
            return false;
    }
    return true;
}

static bool match_frames(const struct value *v, const struct arrival *a)
{
    unsigned i = 0;
    for (const struct value *e = v->first; e != NULL; e = e->next, i++)
        if (i >= a->body_frames || i >= BODY_FRAMES_MAX || e->integer != a->body_frame[i])
            return false;
    return i == a->body_frames;
}

static bool match_ours(const struct argument *arg, struct variables *vars, const struct arrival *a,
                       const char **differs)
{
    struct cursor c = properties_of(a);
    *differs = arg->name;
    if (name_equal(arg->name, "channel"))
        return true;
    if (name_equal(arg->name, "payload"))
        return value_match_bytes(arg->value, vars, a->payload);
    if (!a->has_content)
        return false;
    if (name_equal(arg->name, "properties"))
        return match_properties(arg->value, vars, a, differs);
    if (name_equal(arg->name, "raw-properties"))
        return value_match_bytes(arg->value, vars, cursor_take(&c, cursor_left(&c)));
    if (name_equal(arg->name, "body"))
        return value_match_bytes(arg->value, vars, buffer_bytes(&a->body));
    return name_equal(arg->name, "frames") && match_frames(arg->value, a);
}

static bool match_frame(const struct words *w, struct variables *vars, const struct arrival *a, const char **differs)
{
    const struct value *payload = words_value(w, "payload");
    *differs = "type";
    if (words_has(w, "type") && words_integer(w, "type", 0) != a->type)
        return false;
    *differs = "payload";
    return payload == NULL || value_match_bytes(payload, vars, a->payload);
}

bool wire_match(const struct words *w, struct variables *vars, const struct arrival *a, const char **differs,
                const char **error)
{
    if (strcmp(w->verb, "frame") == 0)
        return match_frame(w, vars, a, differs);
    const struct method_info *info = method_named(w->verb);
    union method m;
    *differs = "method";
    if (info == NULL)
        *error = "no such method";
    if (info == NULL || arrival_method(a) != (uint32_t)info->id)
        return false;
    *differs = "what cannot be decoded";
    if (method_decode(a->payload, &m) != METHOD_OK)
        return false;
    for (unsigned i = 0; i < w->n; i++) {
        const struct argument *arg = &w->arguments[i];
        const struct method_field *f = arg->name == NULL ? NULL : field_named(info, arg->name);
        *differs = arg->name;
        if (arg->value == NULL || (f == NULL && !is_ours(arg))) {
            *error = "no such field";
            return false;
        }
        if (f == NULL ? !match_ours(arg, vars, a, differs) : !match_field(f, &m, arg->value, vars))
            return false;
    }
    return true;
}

/* ---- In print. */

static void print_field(FILE *to, const struct method_field *f, const union method *m)
{
    const uint8_t *at = (const uint8_t *)m + f->offset;
    bool yes;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    struct bytes b;
    fputc(' ', to);
    for (const char *c = f->name; *c != '\0'; c++)
        fputc(*c == '_' ? '-' : *c, to);
    fputc('=', to);
    switch (f->wire) {
    case WIRE_bit:
        memcpy(&yes, at, sizeof yes);
        fputs(yes ? "true" : "false", to);
        break;
    case WIRE_u8:
        fprintf(to, "%u", *at);
        break;
    case WIRE_u16:
        memcpy(&two, at, sizeof two);
        fprintf(to, "%u", two);
        break;
    case WIRE_u32:
        memcpy(&four, at, sizeof four);
        fprintf(to, "%u", four);
        break;
    case WIRE_u64:
        memcpy(&eight, at, sizeof eight);
        fprintf(to, "%llu", (unsigned long long)eight);
        break;
    case WIRE_shortstr:
    case WIRE_rawstr:
    case WIRE_longstr:
        memcpy(&b, at, sizeof b);
        print_bytes(to, b);
        break;
    case WIRE_table:
        memcpy(&b, at, sizeof b);
        print_table(to, b);
        break;
    case WIRE_END:
        break;
    }
}

static void print_properties(FILE *to, const struct arrival *a)
{
    struct cursor c = properties_of(a);
    uint16_t flags = cursor_u16(&c);
    fputs(" properties={", to);
    for (unsigned i = 0; i < PROPERTIES; i++) {
        const struct property *how = &all_properties[i];
        if ((flags & how->bit) == 0)
            continue;
        uint64_t n = 0;
        struct bytes b = take_property(&c, how, &n);
        fprintf(to, " %s=", how->name);
        if (how->wire == WIRE_table)
            print_table(to, b);
        else if (how->wire == WIRE_shortstr)
            print_bytes(to, b);
        else
            fprintf(to, "%llu", (unsigned long long)n);
    }
    fputs(" } body=", to);
    print_bytes(to, buffer_bytes(&a->body));
}

void arrival_print(FILE *to, const struct arrival *a)
{
    const struct method_info *info = method_find(arrival_method(a));
    union method m;
    if (a->type != FRAME_METHOD || info == NULL || method_decode(a->payload, &m) != METHOD_OK) {
        fprintf(to, "frame type=%u payload=", a->type);
        print_bytes(to, a->payload);
        return;
    }
    fputs(info->name, to);
    for (const struct method_field *f = info->fields; f->wire != WIRE_END; f++)
        print_field(to, f, &m);
    if (a->has_header)
        print_properties(to, a);
}
