#include "amqp/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define ERROR(name_, code_, scope_)                                                                                    \
    const struct error_kind AMQP_##name_[1] = {{.name = #name_, .code = (code_), .scope = SCOPE_##scope_}};
#include "amqp/errors.def"

/* Ends a text that is too long in three dots, not inside a character (reference 4.4). */
static void cut_text(char *text)
{
    size_t last = ERROR_TEXT_MAX - 3, end = last;
    while (last - end < 3 && ((uint8_t)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

static struct error *create(const struct error_kind *kind, const char *explanation)
{
    struct error *e = alloc(sizeof *e);
    char whole[ERROR_TEXT_MAX + 2]; /* one more than fits, to see that it does not */
    *e = (struct error){.kind = kind};
    int n = explanation == NULL ? snprintf(whole, sizeof whole, "%s", kind->name)
                                : snprintf(whole, sizeof whole, "%s - %s", kind->name, explanation);
    if (n > ERROR_TEXT_MAX)
        cut_text(whole);
    memcpy(e->text, whole, strlen(whole) + 1);
    return e;
}

struct error *error_create(const struct error_kind *kind, const char *format, ...)
{
    char explanation[ERROR_TEXT_MAX + 2];
    va_list args;
    if (format == NULL)
        return create(kind, NULL);
    va_start(args, format);
    vsnprintf(explanation, sizeof explanation, format, args);
    va_end(args);
    return create(kind, explanation);
}

struct error *error_place(struct error *e, uint32_t method_id)
{
    if (!e->is_placed) {
        e->is_placed = true;
        e->class_id = (uint16_t)(method_id >> 16);
        e->method_id = (uint16_t)method_id;
    }
    return e;
}

static const struct error_kind *const kind_of_reason[] = {
    [NO_SUCH_VHOST] = AMQP_NOT_ALLOWED,
    [NO_SUCH_QUEUE] = AMQP_NOT_FOUND,
    [NO_SUCH_EXCHANGE] = AMQP_NOT_FOUND,
    [UNKNOWN_EXCHANGE_TYPE] = AMQP_PRECONDITION_FAILED,
    [DIFFERS] = AMQP_PRECONDITION_FAILED,
    [OBJECTION] = AMQP_PRECONDITION_FAILED,
    [BAD_ARGUMENT] = AMQP_PRECONDITION_FAILED,
    [LOCKED] = AMQP_RESOURCE_LOCKED,
    [IN_USE] = AMQP_PRECONDITION_FAILED,
    [NOT_EMPTY] = AMQP_PRECONDITION_FAILED,
    [RESERVED] = AMQP_ACCESS_REFUSED,
    [DENIED] = AMQP_ACCESS_REFUSED,
    [TX_REFUSED] = AMQP_PRECONDITION_FAILED,
    [TOO_MUCH] = AMQP_PRECONDITION_FAILED,
    [NO_SUCH_USER] = AMQP_NOT_ALLOWED,
    [NO_ACCESS] = AMQP_NOT_ALLOWED,
    [NO_ROOM] = AMQP_NOT_ALLOWED,
    [NOT_SUPPORTED] = AMQP_NOT_IMPLEMENTED,
};

struct error *error_of_event(const struct event *failed, uint32_t method_id)
{
    const struct error_kind *kind =
        failed->verb == ATTACH ? AMQP_NOT_ALLOWED : kind_of_reason[failed->failed.reason]; /* reference 2.6 */
    struct error *e = error_place(create(kind, failed->failed.text), method_id);
    e->is_models = true;
    return e;
}

const char *error_explanation(const struct error *e)
{
    size_t name = strlen(e->kind->name);
    return e->text[name] == '\0' ? "" : e->text + name + 3;
}

struct error *error_of_frame(const struct error_kind *kind, const struct frame *f, const char *detail)
{
    char octets[ERROR_OCTETS_ROOM];
    bool cut = f->payload.len > ERROR_OCTETS_SHOWN;
    error_print_octets(bytes_of(f->payload.at, cut ? ERROR_OCTETS_SHOWN : f->payload.len), octets, sizeof octets);
    struct error *e = error_create(kind, "type %u, %s octets = %s%s%s", f->type, cut ? "first 16" : "all", octets,
                                   detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
    return error_place(e, 0);
}

/* How Erlang writes an octet in a string; NULL: it does not write strings with that one. */
static const char *octet_in_string(uint8_t c, char room[2])
{
    static const char *const control[] = {"\\b", "\\t", "\\n", "\\v", "\\f", "\\r"};
    if (c >= '\b' && c <= '\r')
        return control[c - '\b'];
    if (c == 0x1B)
        return "\\e";
    if (c == '"' || c == '\\')
        return c == '"' ? "\\\"" : "\\\\";
    room[0] = (char)c;
    room[1] = '\0';
    return c >= ' ' && c <= '~' ? room : NULL;
}

static bool is_string(struct bytes b)
{
    char room[2];
    for (size_t i = 0; i < b.len; i++)
        if (octet_in_string(b.at[i], room) == NULL)
            return false;
    return b.len > 0;
}

static void put_string(struct pen *p, struct bytes b)
{
    char room[2];
    pen_u8(p, '"');
    for (size_t i = 0; i < b.len; i++)
        pen_bytes(p, bytes_of_string(octet_in_string(b.at[i], room)));
    pen_u8(p, '"');
}

static void put_numbers(struct pen *p, struct bytes b)
{
    char digits[8];
    for (size_t i = 0; i < b.len && !p->full; i++)
        pen_bytes(p, bytes_of(digits, (size_t)snprintf(digits, sizeof digits, i > 0 ? ",%u" : "%u", b.at[i])));
}

size_t error_print_octets(struct bytes b, char *to, size_t room)
{
    struct pen p = pen_over(to, room - 1);
    pen_bytes(&p, BYTES("<<"));
    if (is_string(b))
        put_string(&p, b);
    else
        put_numbers(&p, b);
    pen_bytes(&p, BYTES(">>"));
    *p.at = '\0';
    return pen_written(&p).len;
}

size_t error_print_numbers(struct bytes b, char *to, size_t room)
{
    struct pen p = pen_over(to, room - 1);
    pen_bytes(&p, BYTES("<<"));
    put_numbers(&p, b);
    pen_bytes(&p, BYTES(">>"));
    *p.at = '\0';
    return pen_written(&p).len;
}

size_t error_print_list(struct bytes b, char *to, size_t room)
{
    struct pen p = pen_over(to, room - 1);
    if (is_string(b)) {
        put_string(&p, b);
    } else {
        pen_u8(&p, '[');
        put_numbers(&p, b);
        pen_u8(&p, ']');
    }
    *p.at = '\0';
    return pen_written(&p).len;
}
