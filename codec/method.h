/* AMQP methods as C structs, and the one encoder and one decoder that serve them all from methods.def. */
#ifndef CODEC_METHOD_H
#define CODEC_METHOD_H

#include "codec/cursor.h"

/* How each wire type looks in a struct. */
typedef uint8_t wire_u8;
typedef uint16_t wire_u16;
typedef uint32_t wire_u32;
typedef uint64_t wire_u64;
typedef bool wire_bit;
typedef struct bytes wire_shortstr;
typedef struct bytes wire_rawstr;
typedef struct bytes wire_longstr;
typedef struct bytes wire_table; /* still encoded, without its length; see codec/table.h */

enum wire {
    WIRE_END,
    WIRE_bit,
    WIRE_u8,
    WIRE_u16,
    WIRE_u32,
    WIRE_u64,
    WIRE_shortstr,
    WIRE_rawstr,
    WIRE_longstr,
    WIRE_table,
};

enum method_flag {
    FROM_CLIENT = 1 << 0,
    FROM_SERVER = 1 << 1,
    HAS_CONTENT = 1 << 2,
};

enum method_id {
#define METHOD(c, m, cid, mid, flags) METHOD_##c##_##m = (cid) << 16 | (mid),
#define FIELD(c, m, type, name)
#define END(c, m)
#include "codec/methods.def"
};

/* struct basic_publish, struct queue_declare, …: id first, then the fields. */
#define METHOD(c, m, cid, mid, flags)                                                                                  \
    struct c##_##m {                                                                                                   \
        enum method_id id;
#define FIELD(c, m, type, name) wire_##type name;
#define END(c, m)                                                                                                      \
    }                                                                                                                  \
    ;
#include "codec/methods.def"

/* Any one method.  id says which; it is the first member of every struct here, so it may always be read. */
union method {
    enum method_id id;
#define METHOD(c, m, cid, mid, flags) struct c##_##m c##_##m;
#define FIELD(c, m, type, name)
#define END(c, m)
#include "codec/methods.def"
};

struct method_field {
    const char *name; /* "routing_key" */
    uint16_t offset;  /* in the method's struct */
    enum wire wire;   /* WIRE_END ends a list */
};

struct method_info {
    enum method_id id;
    const char *name; /* "basic.publish", "queue.declare-ok": the specification's spelling */
    unsigned flags;
    const struct method_field *fields;
};

/* NULL for a method this protocol does not have. */
const struct method_info *method_find(uint32_t id);

/* Every method, for those who loop over the protocol: method_at(0), method_at(1), … until NULL. */
const struct method_info *method_at(unsigned i);

enum method_verdict {
    METHOD_OK,
    METHOD_UNKNOWN,       /* no such class or method */
    METHOD_CANNOT_DECODE, /* too short, bytes left over, or a malformed table */
    METHOD_BAD_UTF8,      /* in a short string that is checked */
};

/* Reads the method that fills a method frame's payload, of at least 4 bytes.  The strings and tables in *out point into
 * payload; tables have been checked.  out->id is set to what the payload said even when the verdict is not OK. */
enum method_verdict method_decode(struct bytes payload, union method *out);

/* Writes class id, method id and arguments.  The pen is full if they did not fit, if a short string is too long, or if
 * m->id is no method of this protocol. */
void method_encode(struct pen *p, const union method *m);
#endif
