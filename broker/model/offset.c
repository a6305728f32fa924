#include "broker/model/offset.h"

#include <stdlib.h>

#include "base/str.h"
#include "broker/port/queue_options.h"
#include "codec/table.h"

enum { MS_PER_SECOND = 1000, VALUE_TEXT_MAX = 128 };

/* How Erlang prints a binary: as text if it is some, else octet by octet. */
static char *print_binary(struct bytes b)
{
    char *all = str_copy(BYTES("<<"));
    bool is_text = b.len > 0;
    for (size_t i = 0; i < b.len; i++)
        is_text &= b.at[i] >= ' ' && b.at[i] <= '~';
    for (size_t i = 0; i < b.len && i < VALUE_TEXT_MAX; i++) {
        bool is_escaped = b.at[i] == '"' || b.at[i] == '\\';
        char *more = is_text ? str_format("%s%s%s%c", all, i == 0 ? "\"" : "", is_escaped ? "\\" : "", b.at[i])
                             : str_format("%s%s%u", all, i == 0 ? "" : ",", b.at[i]);
        free(all);
        all = more;
    }
    char *whole = str_format("%s%s>>", all, is_text ? "\"" : "");
    free(all);
    return whole;
}

static char *refuse(const struct field *f)
{
    char value[VALUE_TEXT_MAX], *binary = f->type == 'S' ? print_binary(f->bytes) : NULL;
    if (binary == NULL)
        field_print(f, value, sizeof value);
    char *text =
        str_format("{invalid_stream_offset_arg,{%s,%s}}", field_type_name(f->type), binary != NULL ? binary : value);
    free(binary);
    return text;
}

static bool read_word(struct bytes word, uint64_t wall_ms, struct offset *out)
{
    uint64_t ms;
    if (bytes_equal(word, BYTES("next")))
        out->kind = OFFSET_NEXT;
    else if (bytes_equal(word, BYTES("first")))
        out->kind = OFFSET_FIRST;
    else if (bytes_equal(word, BYTES("last")))
        out->kind = OFFSET_LAST;
    else if (duration_read(word, &ms))
        *out = (struct offset){.kind = OFFSET_TIME, .number = ms < wall_ms ? wall_ms - ms : 0};
    else
        return false;
    return true;
}

char *offset_read(struct bytes arguments, uint64_t wall_ms, struct offset *out)
{
    struct field f;
    *out = (struct offset){.kind = OFFSET_NEXT};
    if (!table_find(arguments, BYTES("x-stream-offset"), &f))
        return NULL;
    if (f.type == 'S')
        return read_word(f.bytes, wall_ms, out) ? NULL : refuse(&f);
    if (f.type == 'T') {
        uint64_t s = f.timestamp;
        *out = (struct offset){.kind = OFFSET_TIME,
                               .number = s > UINT64_MAX / MS_PER_SECOND ? UINT64_MAX : s * MS_PER_SECOND};
        return NULL;
    }
    if (!field_is_integer(&f))
        return refuse(&f);
    bool is_back = f.integer < 0;
    uint64_t number = is_back ? 0 - (uint64_t)f.integer : (uint64_t)f.integer;
    *out = (struct offset){.kind = is_back ? OFFSET_BACK : OFFSET_AT, .number = number};
    return NULL;
}
