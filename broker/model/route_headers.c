#include "broker/model/route_headers.h"

#include "base/str.h"
#include "broker/model/route.h"
#include "broker/port/spec.h"
#include "codec/table.h"

static const struct {
    struct bytes word;
    enum headers_match match;
} words[] = {
    {{.at = (const uint8_t *)"all", .len = 3}, MATCH_ALL},
    {{.at = (const uint8_t *)"any", .len = 3}, MATCH_ANY},
    {{.at = (const uint8_t *)"all-with-x", .len = 10}, MATCH_ALL_WITH_X},
    {{.at = (const uint8_t *)"any-with-x", .len = 10}, MATCH_ANY_WITH_X},
};

static bool word_find(struct bytes word, enum headers_match *match)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (bytes_equal(words[i].word, word)) {
            *match = words[i].match;
            return true;
        }
    }
    return false;
}

enum headers_match headers_match_of(struct bytes arguments)
{
    struct field f;
    enum headers_match match = MATCH_ALL;
    if (table_find(arguments, BYTES("x-match"), &f) && f.type == 'S')
        word_find(f.bytes, &match);
    return match;
}

char *headers_match_refuse(struct bytes arguments)
{
    struct field f;
    enum headers_match match;
    if (!table_find(arguments, BYTES("x-match"), &f))
        return NULL;
    if (f.type != 'S') {
        char value[64];
        field_print(&f, value, sizeof value);
        return str_format("Invalid x-match field type %s (value %s); expected longstr", field_type_name(f.type), value);
    }
    if (word_find(f.bytes, &match))
        return NULL;
    return str_format("Invalid x-match field value <<\"%.*s\">>; expected all, any, all-with-x, or any-with-x",
                      BYTES_ARG(f.bytes));
}

/* A void argument asks only whether the header is there. */
static bool header_matches(const struct field *wanted, const struct field *header)
{
    return header != NULL && (wanted->type == 'V' || field_equal_value(wanted, header));
}

static bool binding_matches(const struct binding *bd, struct route *r, struct routing *message)
{
    bool any = bd->match == MATCH_ANY || bd->match == MATCH_ANY_WITH_X;
    bool with_x = bd->match == MATCH_ALL_WITH_X || bd->match == MATCH_ANY_WITH_X;
    struct field wanted;
    for (struct cursor c = cursor_over(bd->arguments); table_next(&c, &wanted);) {
        if (bytes_equal(wanted.key, BYTES("x-match")) || (!with_x && bytes_start_with(wanted.key, BYTES("x-"))))
            continue;
        if (header_matches(&wanted, routing_header(r, message, wanted.key)) == any)
            return any;
    }
    return !any;
}

static char *tell_difference(const struct field *wanted, const struct field *header)
{
    char is[64], wants[64];
    if (header == NULL)
        return str_format("the header '%.*s' is missing", BYTES_ARG(wanted->key));
    field_print(header, is, sizeof is);
    field_print(wanted, wants, sizeof wants);
    return str_format("the header '%.*s' is %s, and %s is wanted", BYTES_ARG(wanted->key), is, wants);
}

char *headers_match_tell(const struct binding *bd, struct route *r, struct routing *message)
{
    bool with_x = bd->match == MATCH_ALL_WITH_X || bd->match == MATCH_ANY_WITH_X;
    struct field wanted;
    if (binding_matches(bd, r, message))
        return NULL;
    if (bd->match == MATCH_ANY || bd->match == MATCH_ANY_WITH_X)
        return str_copy(BYTES("no header has a value that is wanted"));
    for (struct cursor c = cursor_over(bd->arguments); table_next(&c, &wanted);) {
        if (bytes_equal(wanted.key, BYTES("x-match")) || (!with_x && bytes_start_with(wanted.key, BYTES("x-"))))
            continue;
        const struct field *header = routing_header(r, message, wanted.key);
        if (!header_matches(&wanted, header))
            return tell_difference(&wanted, header);
    }
    return NULL;
}

static char *refuse_binding(const struct exchange *source, const struct spec *spec)
{
    (void)source;
    return headers_match_refuse(spec->arguments);
}

static bool headers_route(struct broker *b, struct exchange *x, struct routing *message, struct route *to)
{
    bool found = false;
    struct binding *bd;
    uint64_t looked = 0;
    to->is_fleeting = true;
    list_each (bd, &x->outgoing, struct binding, in_source) {
        looked++;
        if (binding_matches(bd, to, message)) {
            route_add_binding(b, to, bd);
            found = true;
        }
    }
    to->looked += looked;
    return found;
}

const struct exchange_kind exchange_headers = {
    .name = {.at = (const uint8_t *)"headers", .len = 7}, .route = headers_route, .refuse_binding = refuse_binding};
