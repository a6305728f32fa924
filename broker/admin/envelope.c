#include "broker/admin/envelope.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "base/utf8.h"
#include "broker/admin/json.h"
#include "codec/properties.h"
#include "codec/table.h"

enum { GROUP = 3, LETTERS = 4, SHORTSTR_MAX = 255 };

/* ---- To JSON. */

static json_t *of_shortstr(struct bytes b)
{
    return json_of_text(b);
}

static json_t *of_table(struct bytes b)
{
    return json_of_table(b);
}

static json_t *of_u8(uint8_t n)
{
    return json_integer(n);
}

static json_t *of_u64(uint64_t n)
{
    return json_integer((json_int_t)n);
}

json_t *envelope_properties(struct bytes encoded)
{
    struct properties p;
    json_t *o = json_object();
    if (!properties_decode(encoded, &p))
        return o;
#define PROPERTY(name, bit, wire)                                                                                      \
    if (properties_has(&p, PROPERTY_##name))                                                                           \
        json_set(o, #name, of_##wire(p.name));
#include "codec/properties.def"
    return o;
}

void envelope_set_base64(json_t *to, struct bytes payload)
{
    unsigned char *text = alloc((payload.len + GROUP - 1) / GROUP * LETTERS + 1);
    text[0] = '\0';
    if (payload.len > 0)
        EVP_EncodeBlock(text, payload.at, (int)payload.len);
    json_set(to, "payload", json_string((const char *)text));
    json_set(to, "payload_encoding", json_string("base64"));
    free(text);
}

void envelope_set_payload(json_t *to, struct bytes payload)
{
    if (!utf8_check(payload)) {
        envelope_set_base64(to, payload);
        return;
    }
    json_set(to, "payload", json_of_text(payload));
    json_set(to, "payload_encoding", json_string("string"));
}

/* ---- From JSON. */

struct reading {
    struct properties to;
    void *headers; /* owned */
    char *why;     /* owned */
};

static void wrong(struct reading *r, const char *what, const char *name)
{
    if (r->why == NULL)
        r->why = str_format("[%s,%s]", what, name);
}

static struct bytes read_shortstr(struct reading *r, const char *name, const json_t *value)
{
    struct bytes text = json_text(value);
    if (!json_is_string(value))
        wrong(r, "not_string", name);
    else if (text.len > SHORTSTR_MAX)
        wrong(r, "longer than 255 bytes", name);
    return text;
}

static struct bytes read_table(struct reading *r, const char *name, const json_t *value)
{
    struct bytes table = {0};
    char *error = NULL;
    bool is_nothing = json_is_array(value) && json_array_size(value) == 0; /* as some languages write an empty object */
    if (!is_nothing && !json_is_object(value)) {
        wrong(r, "not_object", name);
        return table;
    }
    json_t *none = json_object();
    free(r->headers);
    r->headers = json_make_table(is_nothing ? none : value, &table, &error);
    json_decref(none);
    if (r->why == NULL)
        r->why = error;
    else
        free(error);
    return table;
}

static uint64_t read_u64(struct reading *r, const char *name, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        wrong(r, "not_int", name);
    return (uint64_t)json_integer_value(value);
}

static uint8_t read_u8(struct reading *r, const char *name, const json_t *value)
{
    uint64_t n = read_u64(r, name, value);
    if (n > UINT8_MAX)
        wrong(r, "not_int", name);
    return (uint8_t)n;
}

static bool has_null(const json_t *o)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)o, key, value) if (json_is_null(value)) return true;
    return false;
}

// NOLINTNEXTLINE(readability-function-size): some lines for each property
static void read_each(struct reading *r, const json_t *properties)
{
    const json_t *value;
#define PROPERTY(name, bit, wire)                                                                                      \
    if ((value = json_object_get(properties, #name)) != NULL && !json_is_null(value) && r->why == NULL) {              \
        r->to.flags |= PROPERTY_##name;                                                                                \
        r->to.name = read_##wire(r, #name, value);                                                                     \
    }
#include "codec/properties.def"
    if (r->why == NULL && (r->to.flags & PROPERTY_delivery_mode) != 0 && r->to.delivery_mode - 1U > 1)
        r->why = str_format("406 PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,%u}",
                            (unsigned)r->to.delivery_mode);
}

void *envelope_read_properties(const json_t *properties, struct bytes *encoded, char **why)
{
    struct reading r = {0};
    uint8_t *room = NULL;
    if (has_null(json_object_get(properties, "headers")))
        r.why = str_copy(BYTES("null_not_allowed"));
    read_each(&r, properties);
    if (r.why == NULL) {
        size_t size = properties_size(&r.to);
        room = alloc(size);
        struct pen p = pen_over(room, size);
        properties_encode(&p, &r.to);
        *encoded = pen_written(&p);
        if (encoded->len > ENVELOPE_PROPERTIES_MAX)
            r.why = str_format("properties take more than %d bytes", ENVELOPE_PROPERTIES_MAX);
    }
    free(r.headers);
    *why = r.why;
    if (r.why == NULL)
        return room;
    free(room);
    return NULL;
}

uint8_t *envelope_decode(struct bytes text, size_t *len)
{
    uint8_t *to = alloc(text.len / LETTERS * GROUP + 1);
    int n = text.len % LETTERS != 0 || text.len > INT32_MAX ? -1
            : text.len > 0                                  ? EVP_DecodeBlock(to, text.at, (int)text.len)
                                                            : 0;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.at[text.len - 1 - padding] == '=')
        padding++;
    /* It takes spaces at either end, which are no base64. */
    bool is_plain = text.len == 0 || (text.at[0] > ' ' && text.at[text.len - 1] > ' ');
    if (n < 0 || !is_plain || (text.len > 0 && memchr(text.at, '=', text.len - padding) != NULL)) {
        free(to);
        return NULL;
    }
    *len = (size_t)n - padding;
    return to;
}
