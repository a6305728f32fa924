#include "broker/model/rights.h"

#include <stdlib.h>

#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/exchange.h"
#include "broker/model/history.h"
#include "broker/model/outlet.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/message.h"
#include "broker/port/reply.h"
#include "broker/port/spec.h"
#include "codec/table.h"

/* What a right is needed on; and what nobody may, whatever rights there are, where the reference has that before or
 * between them (amqp-protocol 4.7). */
enum object {
    NOTHING, /* ends a row */
    A_KNOWN_TYPE,
    NOT_THE_DEFAULT,     /* exchange … */
    NO_DEFAULT_END,      /* … nor at either end of a binding */
    NOT_A_SYSTEM_S,      /* an exchange of the broker's own */
    NOT_A_RESERVED_NAME, /* of a queue */
    THE_QUEUE,
    THE_EXCHANGE,
    THE_SOURCE,      /* of a binding … */
    THE_KEY,         /* … and its routing key there, if that is a topic exchange */
    THE_DESTINATION, /* … and what it leads to */
    ITS_ALTERNATE,   /* the exchange that the argument alternate-exchange names, if it is given for a new exchange */
    ITS_DEAD_LETTER, /* the exchange that x-dead-letter-exchange names, if it is given for a new queue */
    IF_ALTERNATE,    /* the exchange itself, if it is new and has an alternate */
    IF_DEAD_LETTER,  /* the queue itself, if it is new and has a dead-letter exchange */
    IN_ITS_HANDLER,  /* see rights_permit_publish() */
};

enum { NEEDS_MAX = 6 };

struct need {
    enum right right; /* RIGHTS: none */
    enum object object;
};

typedef const struct need row[NEEDS_MAX];

/* A verb without a row does not compile. */
static const struct need *needs_of(enum verb verb)
{
    static row nothing = {{RIGHT_READ, NOTHING}};
    static row declare_exchange = {{RIGHTS, A_KNOWN_TYPE},
                                   {RIGHTS, NOT_THE_DEFAULT},
                                   {RIGHT_CONFIGURE, THE_EXCHANGE},
                                   {RIGHT_READ, IF_ALTERNATE},
                                   {RIGHT_WRITE, ITS_ALTERNATE}};
    static row delete_exchange = {{RIGHTS, NOT_THE_DEFAULT}, {RIGHTS, NOT_A_SYSTEM_S}, {RIGHT_CONFIGURE, THE_EXCHANGE}};
    static row declare_queue = {{RIGHTS, NOT_A_RESERVED_NAME},
                                {RIGHT_CONFIGURE, THE_QUEUE},
                                {RIGHT_READ, IF_DEAD_LETTER},
                                {RIGHT_WRITE, ITS_DEAD_LETTER}};
    static row delete_queue = {{RIGHT_CONFIGURE, THE_QUEUE}};
    static row bind = {
        {RIGHT_WRITE, THE_DESTINATION}, {RIGHTS, NO_DEFAULT_END}, {RIGHT_READ, THE_SOURCE}, {RIGHT_READ, THE_KEY}};
    static row publish = {{RIGHT_WRITE, IN_ITS_HANDLER}};
    static row read_queue = {{RIGHT_READ, THE_QUEUE}};
    switch (verb) {
    case DECLARE_EXCHANGE:
        return declare_exchange;
    case DELETE_EXCHANGE:
        return delete_exchange;
    case DECLARE_QUEUE:
        return declare_queue;
    case DELETE_QUEUE:
        return delete_queue;
    case BIND:
    case UNBIND:
        return bind;
    case PUBLISH:
        return publish;
    case PURGE_QUEUE:
    case SUBSCRIBE:
    case GET:
        return read_queue;
    case RESET: /* what is one's own: streams, consumers, what is out */
    case ECHO:
    case OPEN:
    case WINDOW:
    case PACE:
    case UNSUBSCRIBE:
    case CREDIT:
    case SETTLE:
    case RECOVER:
    case COMMIT: /* its publishes were judged when they came */
    case ROLLBACK:
    case ATTACH: /* judged by cmd_client.c */
    case DETACH:
    case LOGIN:
    case LOADED: /* never a client's */
    case ALTER:
    case INSPECT:
    case MOVE:
    case EXPEL:
    case PREFETCH:
    case CANCEL:
    case SAMPLE:
    case REPORT:
    case LIMIT:
        return nothing;
    }
    return nothing;
}

/* Who asks, what for, and what stands against it.  Whatever finds something says false, and text and why then. */
struct asking {
    struct broker *b;
    const struct outlet *o; /* of an administrator's change: one that is nowhere but here */
    const struct spec *spec;
    bool is_change; /* by an administrator: new or not, what an argument names counts */
    enum reason why;
    char *text;
};

/* Takes the text. */
static bool object(struct asking *q, enum reason why, char *text)
{
    q->why = why;
    q->text = text;
    return false;
}

static bool refuse(struct asking *q, char *text)
{
    return object(q, DENIED, text);
}

static bool permit(struct asking *q, enum right right, enum resource what, struct bytes name)
{
    return access_allows(q->b, q->o, right, what, name) || refuse(q, access_refusal(q->o, right, what, name));
}

static bool permit_key(struct asking *q)
{
    const struct spec *spec = q->spec;
    const struct exchange *x = vhost_find_exchange(q->b, q->o->vhost, spec->source);
    return x == NULL || access_allows_key(q->b, q->o, RIGHT_READ, x, spec->key) ||
           refuse(q, access_key_refusal(q->o, RIGHT_READ, x, spec->key));
}

/* Whether that argument is given, as a name, for something new.  A reserved name is refused for that alone. */
static bool names_alternate(const struct asking *q, struct field *f)
{
    const struct spec *spec = q->spec;
    return table_find(spec->arguments, BYTES("alternate-exchange"), f) && f->type == 'S' &&
           vhost_find_exchange(q->b, q->o->vhost, spec->name) == NULL && !bytes_start_with(spec->name, BYTES("amq."));
}

static bool names_dead_letter(const struct asking *q, struct field *f)
{
    const struct spec *spec = q->spec;
    return table_find(spec->arguments, BYTES("x-dead-letter-exchange"), f) && f->type == 'S' &&
           (q->is_change || vhost_find_queue(q->b, q->o->vhost, spec->name) == NULL);
}

static bool permit_name(struct asking *q, enum object object_of)
{
    const struct spec *spec = q->spec;
    bool is_the_brokers = bytes_start_with(spec->name, BYTES("amq."));
    switch ((int)object_of) {
    case A_KNOWN_TYPE:
        return exchange_kind_find(spec->type) != NULL ||
               object(
                   q, UNKNOWN_EXCHANGE_TYPE,
                   str_format("%s exchange type '%.*s'", q->is_change ? "invalid" : "unknown", BYTES_ARG(spec->type)));
    case NOT_A_SYSTEM_S:
        return !is_the_brokers || object(q, RESERVED,
                                         str_format("deletion of system exchange '%.*s' in vhost '%.*s' not allowed",
                                                    BYTES_ARG(spec->name), BYTES_ARG(q->o->vhost->name)));
    case NOT_A_RESERVED_NAME:
        return !is_the_brokers || spec->server_named ||
               object(q, RESERVED,
                      str_format("queue name '%.*s' contains reserved prefix 'amq.*'", BYTES_ARG(spec->name)));
    default:
        break;
    }
    bool is_default = object_of == NOT_THE_DEFAULT
                          ? spec->name.len == 0
                          : spec->source.len == 0 || (spec->to_exchange && spec->name.len == 0);
    return !is_default || refuse(q, str_copy(BYTES("operation not permitted on the default exchange")));
}

static bool meets(struct asking *q, const struct need *need)
{
    const struct spec *spec = q->spec;
    struct field f;
    switch (need->object) {
    case THE_QUEUE:
        return permit(q, need->right, RESOURCE_QUEUE, spec->name);
    case THE_EXCHANGE:
        return permit(q, need->right, RESOURCE_EXCHANGE, spec->name);
    case THE_SOURCE:
        return permit(q, need->right, RESOURCE_EXCHANGE, spec->source);
    case THE_DESTINATION:
        return permit(q, need->right, spec->to_exchange ? RESOURCE_EXCHANGE : RESOURCE_QUEUE, spec->name);
    case THE_KEY:
        return permit_key(q);
    case IF_ALTERNATE:
        return !names_alternate(q, &f) || permit(q, need->right, RESOURCE_EXCHANGE, spec->name);
    case ITS_ALTERNATE:
        return !names_alternate(q, &f) || permit(q, need->right, RESOURCE_EXCHANGE, f.bytes);
    case IF_DEAD_LETTER:
        return !names_dead_letter(q, &f) || permit(q, need->right, RESOURCE_QUEUE, spec->name);
    case ITS_DEAD_LETTER:
        return !names_dead_letter(q, &f) || permit(q, need->right, RESOURCE_EXCHANGE, f.bytes);
    case A_KNOWN_TYPE:
    case NOT_THE_DEFAULT:
    case NO_DEFAULT_END:
    case NOT_A_SYSTEM_S:
    case NOT_A_RESERVED_NAME:
        return permit_name(q, need->object);
    case NOTHING:
    case IN_ITS_HANDLER:
        break;
    }
    return true;
}

static bool meets_all(struct asking *q, enum verb verb)
{
    const struct need *needs = needs_of(verb);
    for (int i = 0; i < NEEDS_MAX && needs[i].object != NOTHING; i++)
        if (!meets(q, &needs[i]))
            return false;
    return true;
}

/* Who asks whether there is such a thing needs some right to it, whichever. */
static bool permit_passive(struct asking *q, enum verb verb)
{
    enum resource what = verb == DECLARE_QUEUE ? RESOURCE_QUEUE : RESOURCE_EXCHANGE;
    if (what == RESOURCE_EXCHANGE && !permit_name(q, NOT_THE_DEFAULT))
        return false;
    for (enum right r = RIGHT_CONFIGURE; r < RIGHTS; r++)
        if (access_allows(q->b, q->o, r, what, q->spec->name))
            return true;
    return refuse(q, access_refusal(q->o, RIGHT_CONFIGURE, what, q->spec->name));
}

static const struct spec *spec_of(const struct command *c)
{
    return c->verb == SUBSCRIBE ? c->subscribe.spec : c->spec;
}

/* To wait for replies, and to ask whether somebody waits, takes no right (reference queue-features 9.5). */
static bool is_reply(const struct command *c)
{
    return (c->verb == DECLARE_QUEUE && reply_is_name(c->spec->name)) ||
           (c->verb == SUBSCRIBE && c->subscribe.spec->is_reply);
}

/* True, or the command has failed. */
static bool conclude(const struct asking *q, const struct command *c)
{
    if (q->text != NULL)
        broker_fail(q->b, c, q->why, q->text);
    return q->text == NULL;
}

bool rights_permit(struct broker *b, struct command *c, const struct stream *s)
{
    bool is_declare = c->verb == DECLARE_QUEUE || c->verb == DECLARE_EXCHANGE;
    struct asking q = {.b = b, .o = s->outlet, .spec = spec_of(c)};
    if (is_reply(c))
        return true;
    if (is_declare && c->spec->passive)
        permit_passive(&q, c->verb);
    else
        meets_all(&q, c->verb);
    bool permitted = conclude(&q, c);
    if (!permitted)
        command_drop(c);
    return permitted;
}

char *rights_refuse(struct broker *b, struct access *a, enum verb verb, const struct spec *spec, enum reason *why)
{
    const struct outlet of = {.vhost = a->vhost, .access = a};
    struct asking q = {.b = b, .o = &of, .spec = spec, .is_change = true};
    meets_all(&q, verb);
    *why = q.why;
    return q.text;
}

char *rights_refuse_right(struct broker *b, struct access *a, enum right right, enum resource what, struct bytes name)
{
    const struct outlet of = {.vhost = a->vhost, .access = a};
    return access_allows(b, &of, right, what, name) ? NULL : access_refusal(&of, right, what, name);
}

char *rights_refuse_keys(struct broker *b, struct access *a, const struct exchange *x, const struct message *m)
{
    const struct outlet of = {.vhost = a->vhost, .access = a};
    struct bytes key = message_key(m);
    if (a->vhost->topics.count == 0)
        return NULL;
    struct cursor more = cursor_over(message_extra_keys(m));
    for (;;) {
        if (!access_allows_key(b, &of, RIGHT_WRITE, x, key))
            return access_key_refusal(&of, RIGHT_WRITE, x, key);
        if (cursor_left(&more) == 0)
            return NULL;
        key = cursor_longstr(&more);
    }
}

bool rights_permit_publish(struct broker *b, const struct command *c, const struct stream *s)
{
    struct asking q = {.b = b, .o = s->outlet};
    permit(&q, RIGHT_WRITE, RESOURCE_EXCHANGE, message_exchange(c->publish.msg));
    return conclude(&q, c);
}

bool rights_permit_dead_letter(struct broker *b, const struct command *c, const struct stream *s)
{
    struct address a = {0};
    struct asking q = {.b = b, .o = s->outlet};
    if ((c->publish.msg->flags & MESSAGE_HAS_DEAD_LETTER) == 0)
        return true;
    history_read_address(message_properties(c->publish.msg), &a);
    if (a.has_exchange)
        permit(&q, RIGHT_WRITE, RESOURCE_EXCHANGE, a.exchange);
    return conclude(&q, c);
}

bool rights_permit_keys(struct broker *b, const struct command *c, const struct stream *s, const struct exchange *x)
{
    char *refusal = rights_refuse_keys(b, s->outlet->access, x, c->publish.msg);
    if (refusal != NULL)
        broker_fail(b, c, DENIED, refusal);
    return refusal == NULL;
}
