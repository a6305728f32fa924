#define _GNU_SOURCE
#include "broker/store/format.h"

#include <endian.h>
#include <string.h>

#include "base/crc32c.h"

/* Fixed widths, little-endian. */
static inline void put_16(uint8_t *to, uint16_t v)
{
    v = htole16(v);
    memcpy(to, &v, sizeof v);
}

static inline void put_32(uint8_t *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof v);
}

static inline void put_64(uint8_t *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof v);
}

static inline uint16_t get_16(const uint8_t *from)
{
    uint16_t v;
    memcpy(&v, from, sizeof v);
    return le16toh(v);
}

static inline uint32_t get_32(const uint8_t *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return le32toh(v);
}

static inline uint64_t get_64(const uint8_t *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return le64toh(v);
}

/* ---- File headers. */

static const uint8_t FILE_MAGIC[8] = {'M', 'I', 'L', 'L', 'R', 'A', 'C', 'E'};
static const uint32_t KNOWN_INCOMPATIBLE = 0; /* feature bits */

enum file_header_offset {
    FILE_KIND = 8,
    FILE_MAJOR = 12,
    FILE_MINOR = 14,
    FILE_INCOMPATIBLE = 16,
    FILE_COMPATIBLE = 20,
    FILE_NODE = 24,
    FILE_NUMBER = 40,
    FILE_EPOCH = 48,
    FILE_FIRST_LSN = 56,
    FILE_VERSION = 64,
    FILE_AFTER_LSN = 96,
    FILE_CRC = FORMAT_FILE_HEADER - 4,
};

void file_header_encode(uint8_t to[FORMAT_FILE_HEADER], const struct file_header *h)
{
    memset(to, 0, FORMAT_FILE_HEADER);
    memcpy(to, FILE_MAGIC, sizeof FILE_MAGIC);
    put_32(to + FILE_KIND, h->kind);
    put_16(to + FILE_MAJOR, h->major);
    put_16(to + FILE_MINOR, h->minor);
    put_32(to + FILE_INCOMPATIBLE, h->incompatible);
    put_32(to + FILE_COMPATIBLE, h->compatible);
    memcpy(to + FILE_NODE, h->node, sizeof h->node);
    put_64(to + FILE_NUMBER, h->number);
    put_32(to + FILE_EPOCH, h->epoch);
    put_64(to + FILE_FIRST_LSN, h->first_lsn);
    put_64(to + FILE_AFTER_LSN, h->after_lsn);
    memcpy(to + FILE_VERSION, h->version, sizeof h->version);
    put_32(to + FILE_CRC, crc32c(0, to, FILE_CRC));
}

enum header_verdict file_header_decode(const uint8_t from[FORMAT_FILE_HEADER], struct file_header *h)
{
    *h = (struct file_header){0};
    if (memcmp(from, FILE_MAGIC, sizeof FILE_MAGIC) != 0)
        return HEADER_FOREIGN;
    if (get_32(from + FILE_CRC) != crc32c(0, from, FILE_CRC))
        return HEADER_DAMAGED;
    uint32_t kind = get_32(from + FILE_KIND);
    h->kind = (enum file_kind)kind;
    h->major = get_16(from + FILE_MAJOR);
    h->minor = get_16(from + FILE_MINOR);
    h->incompatible = get_32(from + FILE_INCOMPATIBLE);
    h->compatible = get_32(from + FILE_COMPATIBLE);
    memcpy(h->node, from + FILE_NODE, sizeof h->node);
    h->number = get_64(from + FILE_NUMBER);
    h->epoch = get_32(from + FILE_EPOCH);
    h->first_lsn = get_64(from + FILE_FIRST_LSN);
    h->after_lsn = get_64(from + FILE_AFTER_LSN);
    memcpy(h->version, from + FILE_VERSION, sizeof h->version);
    bool known = h->major == FORMAT_MAJOR && (h->incompatible & ~KNOWN_INCOMPATIBLE) == 0 && kind >= FILE_JOURNAL &&
                 kind <= FILE_CHECKPOINT;
    return known ? HEADER_FINE : HEADER_NEWER;
}

/* ---- Items. */

static const uint16_t ITEM_MAGIC = 0x694d; /* "Mi" */

enum item_head_offset {
    ITEM_AT_TYPE = 2,
    ITEM_AT_FLAGS = 3,
    ITEM_AT_EPOCH = 4,
    ITEM_AT_LSN = 8,
    ITEM_AT_META_LEN = 16,
    ITEM_AT_BODY_LEN = 20,
    ITEM_AT_META_CRC = 24,
    ITEM_AT_BODY_CRC = 28,
    ITEM_AT_RESERVED = 32,
    ITEM_AT_CRC = FORMAT_ITEM_HEADER - 4,
};

void item_head_encode(uint8_t to[FORMAT_ITEM_HEADER], const struct item_head *h)
{
    put_16(to, ITEM_MAGIC);
    to[ITEM_AT_TYPE] = h->type;
    to[ITEM_AT_FLAGS] = h->flags;
    put_32(to + ITEM_AT_EPOCH, h->epoch);
    put_64(to + ITEM_AT_LSN, h->lsn);
    put_32(to + ITEM_AT_META_LEN, h->meta_len);
    put_32(to + ITEM_AT_BODY_LEN, h->body_len);
    put_32(to + ITEM_AT_META_CRC, h->meta_crc);
    put_32(to + ITEM_AT_BODY_CRC, h->body_crc);
    put_32(to + ITEM_AT_RESERVED, 0);
    put_32(to + ITEM_AT_CRC, crc32c(0, to, ITEM_AT_CRC));
}

bool item_head_decode(const uint8_t from[FORMAT_ITEM_HEADER], struct item_head *h)
{
    *h = (struct item_head){
        .type = from[ITEM_AT_TYPE],
        .flags = from[ITEM_AT_FLAGS],
        .epoch = get_32(from + ITEM_AT_EPOCH),
        .lsn = get_64(from + ITEM_AT_LSN),
        .meta_len = get_32(from + ITEM_AT_META_LEN),
        .body_len = get_32(from + ITEM_AT_BODY_LEN),
        .meta_crc = get_32(from + ITEM_AT_META_CRC),
        .body_crc = get_32(from + ITEM_AT_BODY_CRC),
    };
    return get_16(from) == ITEM_MAGIC && h->meta_len <= FORMAT_META_MAX && h->body_len <= FORMAT_BODY_MAX &&
           get_32(from + ITEM_AT_CRC) == crc32c(0, from, ITEM_AT_CRC);
}

enum item_verdict item_decode(struct bytes b, struct item *out, size_t *need)
{
    struct item_head h;
    *out = (struct item){0};
    *need = FORMAT_ITEM_HEADER;
    if (b.len < FORMAT_ITEM_HEADER)
        return ITEM_SHORT;
    if (!item_head_decode(b.at, &h)) {
        *need = 0;
        return ITEM_NOTHING;
    }
    *need = item_size(h.meta_len, h.body_len);
    if (b.len < *need)
        return ITEM_SHORT;
    *out = (struct item){
        .type = h.type,
        .flags = h.flags,
        .epoch = h.epoch,
        .lsn = h.lsn,
        .meta_crc = h.meta_crc,
        .body_crc = h.body_crc,
        .meta = bytes_of(b.at + FORMAT_ITEM_HEADER, h.meta_len),
        .body = bytes_of(b.at + FORMAT_ITEM_HEADER + h.meta_len, h.body_len),
    };
    if (crc32c(0, out->meta.at, out->meta.len) != h.meta_crc)
        return ITEM_BAD_META;
    return crc32c(0, out->body.at, out->body.len) == h.body_crc ? ITEM_FINE : ITEM_BAD_BODY;
}

/* Headers that claim what is not there could make this sum up everything behind it at every offset.  So there is an
 * effort: what was summed up in vain is taken off, every step adds a little, and what would cost more is passed by. */
enum { FIND_EFFORT = 4, FIND_EFFORT_A_STEP = 64 };

size_t item_find(struct bytes b, size_t from, uint32_t epoch, uint64_t lsn_min)
{
    uint64_t effort = (uint64_t)FIND_EFFORT * b.len;
    if (from > b.len)
        return b.len;
    for (size_t at = format_pad(from); at < b.len && b.len - at >= FORMAT_ITEM_HEADER; at += FORMAT_ALIGN) {
        struct item_head h;
        struct item item;
        size_t need;
        effort += FIND_EFFORT_A_STEP;
        if (get_16(b.at + at) != ITEM_MAGIC || get_32(b.at + at + ITEM_AT_EPOCH) != epoch)
            continue;
        if (!item_head_decode(b.at + at, &h) || h.lsn < lsn_min || item_size(h.meta_len, h.body_len) > effort)
            continue;
        enum item_verdict verdict = item_decode(bytes_of(b.at + at, b.len - at), &item, &need);
        if (verdict == ITEM_FINE)
            return at;
        if (verdict != ITEM_SHORT)
            effort -= need;
    }
    return b.len;
}
