#include "amqp/publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "amqp/confirms.h"
#include "amqp/state.h"
#include "amqp/tx.h"
#include "base/alloc.h"
#include "base/str.h"
#include "broker/port/message.h"
#include "broker/port/reply.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { PERSISTENT_MODE = 2 };

/* ---- Properties. */

/* What a message is about to be made of. */
struct draft {
    struct message_spec spec;
    struct properties properties;
    char *objection;   /* owned: the first thing found wrong */
    bool impersonates; /* which is that it names another user */
    bool is_changed;   /* the properties are not those that came */
    uint8_t *scratch;  /* owned: extra keys and headers that were written anew; NULL: none */
    uint8_t *anew;     /* owned: the same of all properties */
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The digits without zeros in front: how Erlang writes the number. */
static struct bytes significant(struct bytes digits)
{
    while (digits.len > 1 && digits.at[0] == '0')
        digits = bytes_of(digits.at + 1, digits.len - 1);
    return digits;
}

static uint64_t small_number(struct bytes digits)
{
    uint64_t v = 0;
    for (size_t i = 0; i < digits.len; i++)
        v = v * 10 + (digits.at[i] - '0');
    return v;
}

static char *tell_leftover(struct bytes rest)
{
    char list[ERROR_TEXT_MAX];
    error_print_list(rest, list, sizeof list);
    return str_format("{leftover_string,%s}", list);
}

bool publish_read_expiration(struct bytes text, uint64_t *ms, char **why)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    size_t sign = negative || (text.len > 0 && text.at[0] == '+'), end = sign;
    while (end < text.len && is_digit(text.at[end]))
        end++;
    struct bytes digits = significant(bytes_of(text.at + sign, end - sign));
    bool is_zero = bytes_equal(digits, BYTES("0"));
    bool too_large = digits.len > PUBLISH_EXPIRATION_MAX_MS_DIGITS || small_number(digits) > PUBLISH_EXPIRATION_MAX_MS;
    *why = NULL;
    if (digits.len == 0)
        *why = str_copy(BYTES("no_integer"));
    else if (end < text.len)
        *why = tell_leftover(bytes_of(text.at + end, text.len - end));
    else if (negative && !is_zero)
        *why = str_format("{value_negative,-%.*s}", BYTES_ARG(digits));
    else if (too_large)
        *why = str_format("{value_too_large,%.*s}", BYTES_ARG(digits));
    else
        *ms = small_number(digits);
    return *why == NULL;
}

static void read_expiration(struct draft *d)
{
    struct bytes text = d->properties.expiration;
    char *why;
    if (publish_read_expiration(text, &d->spec.expiration_ms, &why))
        return;
    d->objection = str_format("invalid expiration '%.*s': %s", BYTES_ARG(text), why);
    free(why);
}

/* Writes the strings of an array, if the header is one; answers how many. */
static uint16_t put_keys(struct draft *d, struct pen *p, const struct field *header, const char *name)
{
    struct cursor c = cursor_over(header->bytes);
    struct field key;
    uint16_t n = 0;
    if (header->type != 'A') {
        if (d->objection == NULL)
            d->objection = str_format("invalid message: {unacceptable_type_in_header,\"%s\",%s}", name,
                                      field_type_name(header->type));
        return 0;
    }
    while (n < UINT16_MAX && table_next_in_array(&c, &key)) {
        if (key.type != 'S')
            continue;
        pen_longstr(p, key.bytes);
        n++;
    }
    return n;
}

static void take_bcc_out(struct draft *d, struct pen *p)
{
    struct cursor c = cursor_over(d->properties.headers);
    struct field f;
    uint8_t *headers = p->at;
    while (table_next(&c, &f))
        if (!bytes_equal(f.key, BYTES("BCC")))
            table_put_field(p, &f);
    d->properties.headers = bytes_of(headers, (size_t)(p->at - headers));
    d->is_changed = true;
}

/* Sender-selected distribution: more routing keys, of which BCC's are nobody's business (queue-features 9.4). */
static void read_extra_keys(struct draft *d)
{
    struct bytes headers = d->properties.headers;
    struct field cc, bcc;
    bool has_cc = table_find(headers, BYTES("CC"), &cc), has_bcc = table_find(headers, BYTES("BCC"), &bcc);
    if (!has_cc && !has_bcc)
        return;
    d->scratch = alloc(headers.len * 2);
    struct pen p = pen_over(d->scratch, headers.len * 2);
    if (has_cc)
        d->spec.cc_count = put_keys(d, &p, &cc, "CC");
    if (has_bcc)
        put_keys(d, &p, &bcc, "BCC");
    d->spec.extra_keys = pen_written(&p);
    if (has_bcc)
        take_bcc_out(d, &p);
}

static void check_user_id(const char *user, struct draft *d)
{
    if (bytes_equal(d->properties.user_id, bytes_of_string(user)))
        return;
    d->objection = str_format("user_id property set to '%.*s' but authenticated user was '%s'",
                              BYTES_ARG(d->properties.user_id), user);
    d->impersonates = true;
}

/* Direct reply-to: who answers is told the address, if there is one. */
static void read_reply_to(const char *reply_to, struct draft *d)
{
    if (!reply_is_pseudo_queue(d->properties.reply_to))
        return;
    if (reply_to == NULL) {
        d->objection = str_copy(BYTES("fast reply consumer does not exist"));
        return;
    }
    d->properties.reply_to = bytes_of_string(reply_to);
    d->is_changed = true;
}

static void put_properties_anew(struct draft *d)
{
    size_t size = properties_size(&d->properties);
    d->anew = alloc(size);
    struct pen p = pen_over(d->anew, size);
    properties_encode(&p, &d->properties);
    d->spec.properties = pen_written(&p);
}

/* Looks at what concerns the broker, in the order of reference 4.7.  False: malformed.  reply_to: the channel's address
 * for replies, or NULL. */
static bool read_properties(const char *user, const char *reply_to, struct draft *d, struct bytes properties)
{
    struct properties *p = &d->properties;
    struct field own;
    if (!properties_decode(properties, p))
        return false;
    d->spec.properties = properties;
    if (p->delivery_mode == PERSISTENT_MODE)
        d->spec.flags |= MESSAGE_PERSISTENT;
    d->spec.priority = p->priority;
    if (properties_has(p, PROPERTY_reply_to))
        read_reply_to(reply_to, d);
    if (d->objection == NULL && properties_has(p, PROPERTY_expiration))
        read_expiration(d);
    if (properties_has(p, PROPERTY_headers)) {
        d->spec.flags |= MESSAGE_HAS_HEADERS;
        read_extra_keys(d);
        if (table_find(p->headers, BYTES("x-dead-letter-exchange"), &own) ||
            table_find(p->headers, BYTES("x-dead-letter-routing-key"), &own))
            d->spec.flags |= MESSAGE_HAS_DEAD_LETTER;
    }
    if (d->objection == NULL && properties_has(p, PROPERTY_user_id))
        check_user_id(user, d);
    if (d->is_changed)
        put_properties_anew(d);
    return true;
}

/* ---- From method to message. */

struct error *publish_on_publish(struct session *s, struct channel *c, const union method *m)
{
    const struct basic_publish *publish = &m->basic_publish;
    struct content *content = &c->content;
    size_t len = publish->exchange.len + publish->routing_key.len;
    (void)s;
    content->phase = CONTENT_HEADER;
    content->mandatory = publish->mandatory;
    content->defect = publish->immediate ? CONTENT_IMMEDIATE : CONTENT_FINE;
    content->exchange_len = (uint8_t)publish->exchange.len;
    content->key_len = (uint8_t)publish->routing_key.len;
    if (content->names == NULL || len > content->names_room) {
        size_t room = alloc_grown(content->names_room, len);
        content->names = alloc_array(content->names, room, 1);
        content->names_room = (uint16_t)room;
    }
    struct pen p = pen_over(content->names, content->names_room);
    pen_bytes(&p, publish->exchange);
    pen_bytes(&p, publish->routing_key);
    return NULL;
}

void publish_header(struct session *s, struct channel *c, struct bytes properties)
{
    struct content *content = &c->content;
    struct draft d; /* its properties are filled in when they are decoded, and are too many to clear before */
    d.spec = (struct message_spec){
        .exchange = bytes_of(content->names, content->exchange_len),
        .routing_key = bytes_of(content->names + content->exchange_len, content->key_len),
        .body_size = content->size,
        .expiration_ms = MESSAGE_NO_EXPIRATION,
    };
    d.objection = NULL;
    d.impersonates = false;
    d.is_changed = false;
    d.scratch = d.anew = NULL;
    if (content->defect == CONTENT_FINE && content->size > s->config->max_message_size)
        content->defect = CONTENT_TOO_LARGE;
    if (content->defect != CONTENT_FINE)
        return;
    if (!read_properties(s->user, c->reply_to, &d, properties)) {
        content->defect = CONTENT_MALFORMED;
        return;
    }
    content->objection = d.objection;
    content->impersonates = d.impersonates;
    content->msg = message_create(&d.spec);
    free(d.scratch);
    free(d.anew);
}

struct message *publish_make(const char *user, const struct message_spec *names, struct bytes properties,
                             struct bytes body, char **objection, bool *impersonates)
{
    struct draft d = {.spec = {.exchange = names->exchange,
                               .routing_key = names->routing_key,
                               .body_size = body.len,
                               .expiration_ms = MESSAGE_NO_EXPIRATION}};
    struct message *m = NULL;
    if (read_properties(user, NULL, &d, properties)) {
        m = message_create(&d.spec);
        if (body.len > 0)
            message_fill(m, body);
    }
    *objection = d.objection;
    *impersonates = d.impersonates;
    free(d.scratch);
    free(d.anew);
    return m;
}

/* Likewise, where there is something to look at. */
static bool read_odd(const struct session *s, const struct channel *c, struct bytes properties,
                     struct message_spec *spec)
{
    struct draft d; /* likewise */
    d.spec = (struct message_spec){.expiration_ms = MESSAGE_NO_EXPIRATION};
    d.objection = NULL;
    d.impersonates = d.is_changed = false;
    d.scratch = d.anew = NULL;
    bool is_plain = read_properties(s->user, c->reply_to, &d, properties) && d.objection == NULL && !d.is_changed &&
                    d.scratch == NULL;
    free(d.objection);
    free(d.scratch);
    free(d.anew);
    spec->flags = d.spec.flags;
    spec->priority = d.spec.priority;
    spec->expiration_ms = d.spec.expiration_ms;
    return is_plain;
}

bool publish_read_plain(const struct session *s, const struct channel *c, struct bytes properties,
                        struct message_spec *spec)
{
    enum { ODD = PROPERTY_reply_to | PROPERTY_expiration | PROPERTY_headers | PROPERTY_user_id };
    struct properties p;
    if (!properties_decode(properties, &p))
        return false;
    if ((p.flags & ODD) != 0)
        return read_odd(s, c, properties, spec);
    spec->flags = p.delivery_mode == PERSISTENT_MODE ? MESSAGE_PERSISTENT : 0;
    spec->priority = p.priority;
    spec->expiration_ms = MESSAGE_NO_EXPIRATION;
    return true;
}

static struct error *tell_defect(const struct session *s, const struct content *content)
{
    switch ((enum content_defect)content->defect) {
    case CONTENT_IMMEDIATE:
        return error_create(AMQP_NOT_IMPLEMENTED, "immediate=true");
    case CONTENT_TOO_LARGE:
        return error_create(AMQP_PRECONDITION_FAILED, "message size %llu is larger than %smax size %llu",
                            (unsigned long long)content->size,
                            s->config->max_message_size == CONTENT_SIZE_MAX ? "" : "configured ",
                            (unsigned long long)s->config->max_message_size);
    case CONTENT_MALFORMED:
        return error_create(AMQP_FRAME_ERROR, "cannot decode properties of the content header");
    case CONTENT_FINE:
        break;
    }
    return NULL;
}

/* Whoever has been slowed goes on a few at a time, so that what its socket holds does not come all at once. */
void publish_count(struct session *s)
{
    if (s->publishes_left == 0 || --s->publishes_left > 0)
        return;
    s->is_slowed = true;
    session_tell(s, NULL, PACE, 0);
}

struct error *publish_whole(struct session *s, struct channel *c)
{
    struct content *content = &c->content;
    if (content->defect != CONTENT_FINE)
        return tell_defect(s, content);
    if (c->tx != NULL)
        return tx_publish(s, c);
    struct command *publish = publish_tell(s, c, content->msg, content->mandatory);
    publish->publish.objection = content->objection;
    publish->publish.impersonates = content->impersonates;
    content->msg = NULL;
    content->objection = NULL;
    publish_count(s);
    return NULL;
}

/* ---- Confirms. */

struct error *publish_on_confirm_select(struct session *s, struct channel *c, const union method *m)
{
    if (c->tx != NULL)
        return error_create(AMQP_PRECONDITION_FAILED, "cannot switch from tx to confirm mode");
    if (c->confirms == NULL)
        c->confirms = confirms_create();
    session_ask(s, c, ECHO, m->id, m->confirm_select.no_wait);
    return NULL;
}

void publish_on_confirmed(struct session *s, struct channel *c, const struct event *e)
{
    if (c->confirms == NULL)
        return;
    uint64_t first = e->cookie & ((UINT64_C(1) << COOKIE_SERIAL) - 1);
    for (uint64_t number = first; number - first <= e->confirmed.more; number++)
        confirms_gather(c->confirms, number, e->what == REFUSED);
    if (!link_is_linked(&c->gathered) && confirms_is_gathered(c->confirms))
        list_append(&s->gathered, &c->gathered);
}

struct confirm_writer {
    struct session *s;
    uint16_t channel;
};

static void write_confirm(void *arg, uint64_t number, bool multiple, bool refused)
{
    const struct confirm_writer *w = arg;
    if (refused) {
        struct basic_nack nack = {
            .id = METHOD_basic_nack, .delivery_tag = number, .multiple = multiple, .requeue = true};
        session_send(w->s, w->channel, &(union method){.basic_nack = nack});
    } else {
        struct basic_ack ack = {.id = METHOD_basic_ack, .delivery_tag = number, .multiple = multiple};
        session_send(w->s, w->channel, &(union method){.basic_ack = ack});
    }
}

void publish_flush_confirms(struct session *s, struct channel *c)
{
    struct confirm_writer writer = {.s = s, .channel = c->number};
    list_remove(&c->gathered);
    if (c->confirms != NULL)
        confirms_flush(c->confirms, write_confirm, &writer);
}
