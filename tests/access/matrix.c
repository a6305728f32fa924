#include "tests/access/matrix.h"

#include <string.h>

static const char *const right_words[] = {"configure", "write", "read"};

/* What is there, and what is not: see matrix_write(). */
static const struct kind nothing[] = {{.name = ""}};
static const struct kind queues[] = {
    {.name = "own-q", .is_matched = true, .is_there = true},
    {.name = "foreign-q", .is_there = true},
    {.name = "own-none", .is_matched = true},
    {.name = "foreign-none"},
    {.name = "own-locked", .is_matched = true, .is_there = true, .is_locked = true},
    {.name = "$made", .is_matched = true, .is_there = true, .is_the_brokers = true},
    {.name = "", .shown = "amq\\\\.gen-.{22}", .is_matched = true}, /* last: QUEUE_OR_NEW alone */
};
static const struct kind exchanges[] = {
    {.name = "own-x", .is_matched = true, .is_there = true},
    {.name = "foreign-x", .is_there = true},
    {.name = "own-none", .is_matched = true},
    {.name = "foreign-none"},
    {.name = "", .shown = "amq.default", .is_matched = true, .is_there = true, .is_default = true},
    {.name = "amq.direct", .is_there = true, .is_the_brokers = true},
};
static const struct kind topics[] = {{.name = "own-t", .is_matched = true, .is_there = true}};
static const struct kind keys[] = {{.name = "own.k", .is_matched = true}, {.name = "foreign.k"}};
static const struct kind vhosts[] = {
    {.name = "%v", .is_matched = true, .is_there = true},
    {.name = "mtx-foreign", .is_there = true},
    {.name = "mtx-none"},
};

#define ALL(of) of, sizeof(of) / sizeof(of)[0]
static const struct {
    const struct kind *kinds;
    size_t n;
} by_slot[SLOTS] = {
    [NONE] = {ALL(nothing)},        [QUEUE] = {queues, sizeof queues / sizeof queues[0] - 1},
    [QUEUE_OR_NEW] = {ALL(queues)}, [EXCHANGE] = {ALL(exchanges)},
    [TOPIC] = {ALL(topics)},        [KEY] = {ALL(keys)},
    [VHOST] = {ALL(vhosts)},
};

const struct kind *matrix_kind(enum slot slot, unsigned i)
{
    return i < by_slot[slot].n ? &by_slot[slot].kinds[i] : NULL;
}

/* ---- Which check fails. */

static bool has(const struct cell *c, unsigned right)
{
    return (c->rights >> right & 1) != 0;
}

/* Of a routing key, all users have the same rights. */
static bool allows(const struct cell *c, unsigned right, const struct check *k)
{
    bool is_key = k->of < WHICHES && c->row->slots[k->of] == KEY;
    const struct kind *it = k->of == THE_TOPIC ? &topics[0] : c->kinds[k->of];
    return it->is_matched && (is_key || has(c, right));
}

static bool holds(const struct cell *c, const struct check *k)
{
    const struct kind *it = k->of == THE_TOPIC ? &topics[0] : c->kinds[k->of];
    switch (k->what) {
    case CONFIGURE:
    case WRITE:
    case READ:
        return allows(c, k->what - CONFIGURE, k);
    case WRITE_SINCE_4:
        return c->is_peer || allows(c, 1, k);
    case ANY_SINCE_4:
        return c->is_peer || allows(c, 0, k) || allows(c, 1, k) || allows(c, 2, k);
    case ENTER:
        return it->is_matched;
    case EXISTS:
        return it->is_there;
    case UNLOCKED:
        return !it->is_locked;
    case UNLOCKED_IF_BOUND:
        return !it->is_locked || !c->kinds[B]->is_there;
    case DIFFERS:
        return !it->is_there;
    case NOT_DEFAULT:
        return !it->is_default;
    case NOT_SYSTEM:
    case NOT_RESERVED:
        return !it->is_the_brokers;
    case ALL_FINE:
        break;
    }
    return true;
}

/* The first check that fails; NULL: none. */
static const struct check *failing(const struct cell *c)
{
    for (const struct check *k = c->row->checks; k < c->row->checks + CHECKS_MAX && k->what != ALL_FINE; k++)
        if (!holds(c, k))
            return k;
    return NULL;
}

/* ---- Words. */

static void put_user(FILE *to, const struct cell *c)
{
    fputs("mtx-", to);
    for (unsigned r = 0; r < 3; r++)
        if (has(c, r))
            fputc(right_words[r][0], to);
    if (c->rights == 0)
        fputs("none", to);
}

/* A name within quotes: what came earlier is joined to them. */
static void put_name(FILE *to, const struct cell *c, const char *name)
{
    if (name[0] == '$')
        fprintf(to, "\"+%s+\"", name);
    else
        fputs(strcmp(name, "%v") == 0 ? c->vhost : name, to);
}

/* Text with %a, %b: the resources; %u: the user; %v: the virtual host. */
static void put_text(FILE *to, const struct cell *c, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text != '%') {
            fputc(*text, to);
            continue;
        }
        text++;
        if (*text == 'u')
            put_user(to, c);
        else if (*text == 'v')
            fputs(c->vhost, to);
        else
            put_name(to, c, c->kinds[*text - 'a']->name);
    }
}

static void put_shown(FILE *to, const struct cell *c, const struct check *k)
{
    const struct kind *it = k->of == THE_TOPIC ? &topics[0] : c->kinds[k->of];
    bool is_queue = k->of != THE_TOPIC && (c->row->slots[k->of] == QUEUE || c->row->slots[k->of] == QUEUE_OR_NEW);
    fputs(is_queue ? "queue '" : "exchange '", to);
    put_name(to, c, it->shown != NULL ? it->shown : it->name);
    fprintf(to, "' in vhost '%s'", c->vhost);
}

/* The right that a refusal names. */
static unsigned right_of(const struct check *k)
{
    return k->what == WRITE_SINCE_4 ? 1 : k->what == ANY_SINCE_4 ? 0 : k->what - CONFIGURE;
}

/* "ACCESS_REFUSED - write access to exchange 'x' in vhost '/' refused for user 'u'" */
static void put_refusal(FILE *to, const struct cell *c, const struct check *k)
{
    fputs("ACCESS_REFUSED - ", to);
    if (!c->is_peer)
        fprintf(to, "%s ", right_words[right_of(k)]);
    fputs("access to ", to);
    if (k->of < WHICHES && c->row->slots[k->of] == KEY)
        fprintf(to, "topic '%s' in exchange 'own-t' in vhost '%s'", c->kinds[k->of]->name, c->vhost);
    else
        put_shown(to, c, k);
    fputs(" refused for user '", to);
    put_user(to, c);
    fputc('\'', to);
}

static void put_reply_text(FILE *to, const struct cell *c, const struct check *k)
{
    switch (k->what) {
    case CONFIGURE:
    case WRITE:
    case READ:
    case ANY_SINCE_4:
    case WRITE_SINCE_4:
        put_refusal(to, c, k);
        break;
    case EXISTS:
        fputs("NOT_FOUND - no ", to);
        put_shown(to, c, k);
        break;
    case UNLOCKED:
    case UNLOCKED_IF_BOUND:
        fputs("RESOURCE_LOCKED - cannot obtain exclusive access to locked ", to);
        put_shown(to, c, k);
        fputs(". It could be originally declared on another connection or the exclusive property value does not match "
              "that of the original declaration.",
              to);
        break;
    case NOT_DEFAULT:
        fputs("ACCESS_REFUSED - operation not permitted on the default exchange", to);
        break;
    case NOT_SYSTEM:
        fputs("ACCESS_REFUSED - deletion of system ", to);
        put_shown(to, c, k);
        fputs(" not allowed", to);
        break;
    case NOT_RESERVED:
        fputs("ACCESS_REFUSED - queue name '", to);
        put_name(to, c, c->kinds[k->of]->name);
        fputs("' contains reserved prefix 'amq.*'", to);
        break;
    case ALL_FINE:
    case ENTER:
    case DIFFERS:
        break;
    }
}

/* ---- The conversation. */

/* The user: what it has rights to begins with own-, or is the default exchange, or has a name that the broker made. */
static void put_permission(FILE *to, const struct cell *c)
{
    fputs("user ", to);
    put_user(to, c);
    fputs("\npermit ", to);
    put_user(to, c);
    for (unsigned r = 0; r < 3; r++)
        fprintf(to, " %s=\"%s\"", right_words[r], has(c, r) ? "^own-|^amq\\\\.(gen-|default$)" : "");
    fputs("\npermit ", to);
    put_user(to, c);
    fputs(" topic=\"own-t\" write=\"^own\\\\.\" read=\"^own\\\\.\"\nvhost \"mtx-foreign\"\n", to);
}

static void put_world(FILE *to)
{
    fputs("client boss\n"
          "> queue.declare queue=\"own-q\"\n< queue.declare-ok\n"
          "> queue.declare queue=\"foreign-q\"\n< queue.declare-ok\n"
          "> queue.declare queue=\"own-locked\" exclusive=true\n< queue.declare-ok\n"
          "> queue.declare arguments={x-expires=I:60000}\n< queue.declare-ok queue=$made\n"
          "> exchange.declare exchange=\"own-x\" type=\"direct\"\n< exchange.declare-ok\n"
          "> exchange.declare exchange=\"foreign-x\" type=\"direct\"\n< exchange.declare-ok\n"
          "> exchange.declare exchange=\"own-t\" type=\"topic\"\n< exchange.declare-ok\n"
          "for $x in \"own-x\" \"foreign-x\"\n"
          "for $q in \"own-q\" \"foreign-q\" \"own-locked\" $made\n"
          "> queue.bind queue=$q exchange=$x routing-key=\"k\"\n< queue.bind-ok\n"
          "end\nend\n"
          "> confirm.select\n< confirm.select-ok\n"
          "> basic.publish exchange=\"own-x\" routing-key=\"k\" body=\"m\"\n< confirms acks=\"1\"\n",
          to);
}

/* All is as it was: nothing declared, deleted, bound, unbound, taken or published. */
static void put_unchanged(FILE *to)
{
    fputs(
        "client boss\n"
        "for $q in \"own-q\" \"foreign-q\" \"own-locked\" $made\n"
        "> queue.declare queue=$q passive=true\n< queue.declare-ok message-count=1 consumer-count=0\n"
        "end\n"
        "> basic.publish exchange=\"own-x\" routing-key=\"k\" body=\"m\"\n< confirms acks=\"2\"\n"
        "> basic.publish exchange=\"foreign-x\" routing-key=\"k\" body=\"m\"\n< confirms acks=\"3\"\n"
        "for $q in \"own-q\" \"foreign-q\" \"own-locked\" $made\n"
        "> queue.declare queue=$q passive=true\n< queue.declare-ok message-count=3\n"
        "end\n"
        "> basic.publish exchange=\"own-x\" routing-key=\"new\" mandatory=true\n< basic.return\n< confirms acks=\"4\"\n"
        "> basic.publish exchange=\"own-t\" routing-key=\"own.k\" mandatory=true\n< basic.return\n"
        "< confirms acks=\"5\"\n"
        "> basic.publish exchange=\"own-t\" routing-key=\"foreign.k\" mandatory=true\n< basic.return\n"
        "< confirms acks=\"6\"\n"
        "for $name in \"own-none\" \"foreign-none\"\n"
        "> queue.declare queue=$name passive=true\n< channel.close reply-code=404\nreopen\n"
        "> exchange.declare exchange=$name passive=true\n< channel.close reply-code=404\nreopen\n"
        "end\n",
        to);
}

static void put_open(FILE *to, const struct cell *c, const struct check *k)
{
    put_text(to, c,
             "client one raw\n> protocol-header\n< connection.start\n"
             "> connection.start-ok client-properties={} mechanism=\"PLAIN\" response=\"\\x00%u\\x00%u\"\n"
             "< connection.tune\n> connection.tune-ok channel-max=7 frame-max=4096\n> ");
    put_text(to, c, c->row->says);
    if (k == NULL) {
        fprintf(to, "\n< %s\n", c->row->answer);
        return;
    }
    fputs("\n< connection.close reply-code=530 class-id=10 method-id=40 reply-text=\"NOT_ALLOWED - ", to);
    put_text(to, c, k->what == EXISTS ? "vhost %a not found" : "access to vhost '%a' refused for user '%u'");
    fputs("\"\n> connection.close-ok\n", to);
}

static unsigned reply_code(const struct check *k)
{
    return k->what == EXISTS                                     ? 404
           : k->what == UNLOCKED || k->what == UNLOCKED_IF_BOUND ? 405
           : k->what == DIFFERS                                  ? 406
                                                                 : 403;
}

/* What a refusal shows is an expression where the broker has made the name up. */
static bool is_expression(const struct cell *c, const struct check *k)
{
    return k->of < WHICHES && c->row->slots[k->of] == QUEUE_OR_NEW && c->kinds[k->of]->shown != NULL;
}

static void put_channel_row(FILE *to, const struct cell *c, const struct check *k)
{
    put_text(to, c, "client one as %u\n> confirm.select\n< confirm.select-ok\n> ");
    put_text(to, c, c->row->says);
    if (k == NULL) {
        fprintf(to, "\n< %s\n", c->row->answer);
        return;
    }
    fprintf(to, "\n< channel.close reply-code=%u class-id=%u method-id=%u", reply_code(k), c->row->method >> 16,
            c->row->method & 0xFFFF);
    if (k->what == DIFFERS) {
        fputc('\n', to);
    } else {
        fprintf(to, " reply-text=%s\"", is_expression(c, k) ? "~" : "");
        put_reply_text(to, c, k);
        fputs("\"\n", to);
    }
    fputs("reopen\n", to);
    put_unchanged(to);
}

void matrix_write(FILE *to, const struct cell *c)
{
    const struct check *k = failing(c);
    if (!c->is_peer)
        put_permission(to, c);
    if (c->row->answer == NULL) {
        put_text(to, c, c->row->is_raw ? "client one raw\n" : "client one as %u\n");
        put_text(to, c, c->row->says);
    } else if (c->row->slots[A] == VHOST) {
        put_open(to, c, k);
    } else {
        put_world(to);
        put_channel_row(to, c, k);
    }
}
