#include "codec/method.h"

#include "base/utf8.h"
#include "codec/table.h"

/* The specification writes a hyphen where C writes an underscore, and the preprocessor cannot turn one into the other.
 * A method in methods.def that is not spelt here does not compile. */
#define SPELT_start "start"
#define SPELT_start_ok "start-ok"
#define SPELT_secure "secure"
#define SPELT_secure_ok "secure-ok"
#define SPELT_tune "tune"
#define SPELT_tune_ok "tune-ok"
#define SPELT_open "open"
#define SPELT_open_ok "open-ok"
#define SPELT_close "close"
#define SPELT_close_ok "close-ok"
#define SPELT_blocked "blocked"
#define SPELT_unblocked "unblocked"
#define SPELT_update_secret "update-secret"
#define SPELT_update_secret_ok "update-secret-ok"
#define SPELT_flow "flow"
#define SPELT_flow_ok "flow-ok"
#define SPELT_request "request"
#define SPELT_request_ok "request-ok"
#define SPELT_declare "declare"
#define SPELT_declare_ok "declare-ok"
#define SPELT_delete "delete"
#define SPELT_delete_ok "delete-ok"
#define SPELT_bind "bind"
#define SPELT_bind_ok "bind-ok"
#define SPELT_unbind "unbind"
#define SPELT_unbind_ok "unbind-ok"
#define SPELT_purge "purge"
#define SPELT_purge_ok "purge-ok"
#define SPELT_qos "qos"
#define SPELT_qos_ok "qos-ok"
#define SPELT_consume "consume"
#define SPELT_consume_ok "consume-ok"
#define SPELT_cancel "cancel"
#define SPELT_cancel_ok "cancel-ok"
#define SPELT_publish "publish"
#define SPELT_return "return"
#define SPELT_deliver "deliver"
#define SPELT_get "get"
#define SPELT_get_ok "get-ok"
#define SPELT_get_empty "get-empty"
#define SPELT_ack "ack"
#define SPELT_reject "reject"
#define SPELT_recover_async "recover-async"
#define SPELT_recover "recover"
#define SPELT_recover_ok "recover-ok"
#define SPELT_nack "nack"
#define SPELT_select "select"
#define SPELT_select_ok "select-ok"
#define SPELT_commit "commit"
#define SPELT_commit_ok "commit-ok"
#define SPELT_rollback "rollback"
#define SPELT_rollback_ok "rollback-ok"

#define METHOD(c, m, cid, mid, flags) static const struct method_field fields_##c##_##m[] = {
#define FIELD(c, m, type, name) {#name, offsetof(struct c##_##m, name), WIRE_##type},
#define END(c, m)                                                                                                      \
    {                                                                                                                  \
        .wire = WIRE_END                                                                                               \
    }                                                                                                                  \
    }                                                                                                                  \
    ;
#include "codec/methods.def"

static const struct method_info methods[] = {
#define METHOD(c, m, cid, mid, flags_)                                                                                 \
    {.id = METHOD_##c##_##m, .name = #c "." SPELT_##m, .flags = (flags_), .fields = fields_##c##_##m},
#define FIELD(c, m, type, name)
#define END(c, m)
#include "codec/methods.def"
};

/* Where a method sits in methods[]. */
enum method_slot {
#define METHOD(c, m, cid, mid, flags) SLOT_##c##_##m,
#define FIELD(c, m, type, name)
#define END(c, m)
#include "codec/methods.def"
};

// NOLINTNEXTLINE(readability-function-size): a case for each method there is
const struct method_info *method_find(uint32_t id)
{
    switch (id) {
#define METHOD(c, m, cid, mid, flags)                                                                                  \
    case METHOD_##c##_##m:                                                                                             \
        return &methods[SLOT_##c##_##m];
#define FIELD(c, m, type, name)
#define END(c, m)
#include "codec/methods.def"
    default:
        return NULL;
    }
}

const struct method_info *method_at(unsigned i)
{
    return i < sizeof(methods) / sizeof(methods[0]) ? &methods[i] : NULL;
}

/* What reading one method's arguments keeps in mind. */
struct reading {
    struct cursor c;
    uint8_t bits;  /* the octet that bits are being taken from */
    unsigned nbit; /* how many were taken since the last field of another kind */
    bool bad_utf8, bad_table;
};

static inline void read_bit(struct reading *r, bool *to)
{
    if (r->nbit % 8 == 0)
        r->bits = cursor_u8(&r->c);
    *to = (r->bits >> r->nbit++ % 8 & 1) != 0;
}

static inline void read_u8(struct reading *r, uint8_t *to)
{
    *to = cursor_u8(&r->c);
    r->nbit = 0;
}

static inline void read_u16(struct reading *r, uint16_t *to)
{
    *to = cursor_u16(&r->c);
    r->nbit = 0;
}

static inline void read_u32(struct reading *r, uint32_t *to)
{
    *to = cursor_u32(&r->c);
    r->nbit = 0;
}

static inline void read_u64(struct reading *r, uint64_t *to)
{
    *to = cursor_u64(&r->c);
    r->nbit = 0;
}

static inline void read_rawstr(struct reading *r, struct bytes *to)
{
    *to = cursor_shortstr(&r->c);
    r->nbit = 0;
}

static inline void read_shortstr(struct reading *r, struct bytes *to)
{
    read_rawstr(r, to);
    r->bad_utf8 |= !utf8_check(*to);
}

static inline void read_longstr(struct reading *r, struct bytes *to)
{
    *to = cursor_longstr(&r->c);
    r->nbit = 0;
}

static inline void read_table(struct reading *r, struct bytes *to)
{
    read_longstr(r, to);
    r->bad_table |= !table_check(*to, TABLE_DEPTH_MAX);
}

/* A reader for each method, in which everything is known but the bytes: walking the table of fields costs three times
 * as much. */
#define METHOD(c, m, cid, mid, flags)                                                                                  \
    static inline void read_##c##_##m(struct reading *r, struct c##_##m *out)                                          \
    {                                                                                                                  \
        r->nbit = 0;                                                                                                   \
        out->id = METHOD_##c##_##m;
#define FIELD(c, m, type, name) read_##type(r, &out->name);
#define END(c, m) }
#include "codec/methods.def"

/* False: there is no such method. */
// NOLINTNEXTLINE(readability-function-size): a case for each method there is
static inline bool read_arguments(struct reading *r, uint32_t id, union method *out)
{
    switch (id) {
#define METHOD(c, m, cid, mid, flags)                                                                                  \
    case METHOD_##c##_##m:                                                                                             \
        read_##c##_##m(r, &out->c##_##m);                                                                              \
        return true;
#define FIELD(c, m, type, name)
#define END(c, m)
#include "codec/methods.def"
    default:
        return false;
    }
}

enum method_verdict method_decode(struct bytes payload, union method *out)
{
    struct reading r = {.c = cursor_over(payload)};
    uint32_t id = cursor_u32(&r.c);
    out->id = (enum method_id)id;
    if (!read_arguments(&r, id, out))
        return r.c.bad ? METHOD_CANNOT_DECODE : METHOD_UNKNOWN;
    if (r.c.bad || r.bad_table || cursor_left(&r.c) != 0)
        return METHOD_CANNOT_DECODE;
    return r.bad_utf8 ? METHOD_BAD_UTF8 : METHOD_OK;
}

/* nbit counts the bits since the last field of another kind, as in reading. */
static void write_bit(struct pen *p, unsigned nbit, bool v)
{
    if (nbit % 8 == 0)
        pen_u8(p, 0);
    if (!p->full)
        p->at[-1] = (uint8_t)(p->at[-1] | (unsigned)v << nbit % 8);
}

static void write_field(struct pen *p, enum wire wire, const void *from)
{
    switch (wire) {
    case WIRE_u8:
        pen_u8(p, *(const uint8_t *)from);
        break;
    case WIRE_u16:
        pen_u16(p, *(const uint16_t *)from);
        break;
    case WIRE_u32:
        pen_u32(p, *(const uint32_t *)from);
        break;
    case WIRE_u64:
        pen_u64(p, *(const uint64_t *)from);
        break;
    case WIRE_shortstr:
    case WIRE_rawstr:
        pen_shortstr(p, *(const struct bytes *)from);
        break;
    case WIRE_longstr:
    case WIRE_table:
        pen_longstr(p, *(const struct bytes *)from);
        break;
    case WIRE_bit:
    case WIRE_END:
        break;
    }
}

void method_encode(struct pen *p, const union method *m)
{
    const struct method_info *info = method_find(m->id);
    if (info == NULL) {
        p->full = true;
        return;
    }
    pen_u32(p, info->id);
    unsigned nbit = 0;
    for (const struct method_field *f = info->fields; f->wire != WIRE_END; f++) {
        const void *from = (const uint8_t *)m + f->offset;
        if (f->wire == WIRE_bit) {
            write_bit(p, nbit++, *(const bool *)from);
            continue;
        }
        nbit = 0;
        write_field(p, f->wire, from);
    }
}
