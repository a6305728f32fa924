#define _GNU_SOURCE
#include "base/audit_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/str.h"
#include "base/utf8.h"

/* How long members may be, escaped.  Names of 255 bytes fit unless they are made to be escaped. */
enum { WORD_MAX = 64, PEER_MAX = 128, TEXT_MAX = 400 };

static const char cut_end[] = ",\"cut\":true}\n";

struct line {
    char *at;
    const char *end; /* before what ends the line */
    bool is_cut;
};

static void put(struct line *l, const char *text, size_t len)
{
    CHECK(len <= (size_t)(l->end - l->at));
    memcpy(l->at, text, len);
    l->at += len;
}

static void put_string(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

static bool is_plain(uint32_t c)
{
    if (c == '"' || c == '\\' || c < 0x20 || (c >= 0x7f && c < 0xa0))
        return false;
    bool is_invisible = (c >= 0x200b && c <= 0x200f) || c == 0xfeff;
    bool is_separator = c == 0x2028 || c == 0x2029;
    bool is_turning = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x61c;
    return !is_invisible && !is_separator && !is_turning;
}

/* How many bytes at the front need no look: printable ASCII that JSON takes as it is. */
static size_t plain_run(struct bytes text)
{
    size_t n = 0;
    while (n < text.len && text.at[n] >= 0x20 && text.at[n] < 0x7f && text.at[n] != '"' && text.at[n] != '\\')
        n++;
    return n;
}

static void put_escaped(struct line *l, struct bytes text, size_t max)
{
    const char *end = max < (size_t)(l->end - l->at) ? l->at + max : l->end;
    for (;;) {
        size_t run = plain_run(text), fits = (size_t)(end - l->at);
        put(l, (const char *)text.at, run < fits ? run : fits);
        l->is_cut |= run > fits;
        if (run == text.len || run > fits)
            return;
        text = bytes_of(text.at + run, text.len - run);
        char escape[16];
        size_t len = utf8_length(text);
        uint32_t c = len > 0 ? utf8_decode(text, len) : 0;
        size_t room = len;
        if (len == 0)
            room = (size_t)snprintf(escape, sizeof escape, "\\ufffd%02x", text.at[0]);
        else if (!is_plain(c)) /* none of them needs more than four digits */
            room = (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        if (room > (size_t)(end - l->at)) {
            l->is_cut = true;
            return;
        }
        put(l, len > 0 && is_plain(c) ? (const char *)text.at : escape, room);
        len = len > 0 ? len : 1;
        text = bytes_of(text.at + len, text.len - len);
    }
}

static void put_member(struct line *l, const char *name, struct bytes value, size_t max)
{
    if (value.at == NULL)
        return;
    put_string(l, ",\"");
    put_string(l, name);
    put_string(l, "\":\"");
    l->end--; /* for the quote */
    put_escaped(l, value, max);
    l->end++;
    put_string(l, "\"");
}

/* Lines come many in a second, so a thread remembers what it wrote of the last one. */
static void put_time(struct line *l, uint64_t wall_us)
{
    static _Thread_local struct {
        uint64_t second;
        char text[64];
    } last;
    time_t second = (time_t)(wall_us / 1000000);
    if (last.text[0] == '\0' || last.second != (uint64_t)second) {
        struct tm utc;
        gmtime_r(&second, &utc);
        strftime(last.text, sizeof last.text, "{\"time\":\"%Y-%m-%dT%H:%M:%S.", &utc);
        last.second = (uint64_t)second;
    }
    char micros[] = "000000Z\"";
    str_digits(micros, 6, wall_us % 1000000);
    put_string(l, last.text);
    put_string(l, micros);
}

size_t audit_line(const struct audit *a, uint64_t wall_us, char to[AUDIT_LINE_MAX])
{
    struct line l = {.at = to, .end = to + AUDIT_LINE_MAX - (sizeof cut_end - 1)};
    put_time(&l, wall_us);
    put_member(&l, "action", bytes_of_string(a->action), WORD_MAX);
    put_member(&l, "result", a->result, WORD_MAX);
    put_member(&l, "reason", a->reason, TEXT_MAX);
    put_member(&l, "user", a->user, TEXT_MAX);
    put_member(&l, "peer", a->peer, PEER_MAX);
    put_member(&l, "certificate", a->certificate, TEXT_MAX);
    put_member(&l, "vhost", a->vhost, TEXT_MAX);
    put_member(&l, "kind", a->kind, WORD_MAX);
    put_member(&l, "object", a->object, TEXT_MAX);
    if (a->has_count) {
        char count[32];
        snprintf(count, sizeof count, ",\"count\":%llu", (unsigned long long)a->count);
        put_string(&l, count);
    }
    /* The values share what is left. */
    size_t left = (size_t)(l.end - l.at) - strlen(",\"before\":\"\",\"after\":\"\"");
    size_t each = a->before.at != NULL && a->after.at != NULL ? left / 2 : left;
    put_member(&l, "before", a->before, each);
    put_member(&l, "after", a->after, each);
    l.end = to + AUDIT_LINE_MAX;
    put_string(&l, l.is_cut ? cut_end : "}\n");
    return (size_t)(l.at - to);
}
