#define _GNU_SOURCE
#include "base/log_line.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { WHERE_MAX = 128, NODE_MAX = 256, MICROSECONDS = 6, ESCAPE_MAX = 6, END_ROOM = 16 };

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

static char *put_byte(char *at, const char *before, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    at = stpcpy(at, before);
    *at++ = hex[c >> 4];
    *at++ = hex[c & 15];
    return at;
}

static char *put_text(char *at, const char *end, const char *text, size_t max)
{
    for (size_t i = 0; i < max && text[i] != '\0' && end - at > ESCAPE_MAX; i++) {
        if (is_plain((unsigned char)text[i]))
            *at++ = text[i];
        else
            at = put_byte(at, "\\x", (unsigned char)text[i]);
    }
    return at;
}

static char *put_json(char *at, const char *end, const char *text, size_t max)
{
    for (size_t i = 0; i < max && text[i] != '\0' && end - at > ESCAPE_MAX; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *at++ = '\\';
        if (is_plain((unsigned char)text[i]))
            *at++ = text[i];
        else
            at = put_byte(at, "\\u00", (unsigned char)text[i]);
    }
    return at;
}

/* The date and the second, and the zone that it is said in: a thread remembers what it wrote last. */
struct stamp {
    time_t second;
    char date[16], clock[16], zone[8];
};

static const struct stamp *stamp_of(time_t second)
{
    static _Thread_local struct stamp last;
    if (last.date[0] == '\0' || last.second != second) {
        struct tm local;
        char zone[8];
        localtime_r(&second, &local);
        strftime(last.date, sizeof last.date, "%Y-%m-%d", &local);
        strftime(last.clock, sizeof last.clock, "%H:%M:%S.", &local);
        strftime(zone, sizeof zone, "%z", &local);
        snprintf(last.zone, sizeof last.zone, "%.3s:%.2s", zone, zone + 3);
        last.second = second;
    }
    return &last;
}

static char *put_time(char *at, struct timespec t, enum log_time how)
{
    const struct stamp *stamp = stamp_of(t.tv_sec);
    uint64_t us = (uint64_t)t.tv_nsec / 1000;
    switch (how) {
    case LOG_TIME_USECS:
        return str_digits(str_number(at, (uint64_t)t.tv_sec), MICROSECONDS, us);
    case LOG_TIME_SECS:
        at = str_number(at, (uint64_t)t.tv_sec);
        *at++ = '.';
        return str_digits(at, MICROSECONDS, us);
    case LOG_TIME_LAGER:
        return str_digits(stpcpy(stpcpy(stpcpy(at, stamp->date), " "), stamp->clock), 3, us / 1000);
    case LOG_TIME_SPACE:
    case LOG_TIME_T:
        break;
    }
    at = stpcpy(stpcpy(stpcpy(at, stamp->date), how == LOG_TIME_T ? "T" : " "), stamp->clock);
    return stpcpy(str_digits(at, MICROSECONDS, us), stamp->zone);
}

static char *put_plain_line(char *at, const char *end, const struct log_line *l, const struct log_style *style)
{
    at = put_time(at, l->at, style->time);
    at = stpcpy(stpcpy(stpcpy(at, " ["), log_level_name(l->level)), "] <");
    at = put_text(at, end, l->where, WHERE_MAX);
    return put_text(stpcpy(at, "> "), end, l->text, LOG_LINE_MAX);
}

static char *put_json_line(char *at, const char *end, const struct log_line *l, const struct log_style *style)
{
    bool is_number = style->time == LOG_TIME_USECS || style->time == LOG_TIME_SECS;
    at = stpcpy(at, is_number ? "{\"time\":" : "{\"time\":\"");
    at = stpcpy(put_time(at, l->at, style->time), is_number ? ",\"level\":\"" : "\",\"level\":\"");
    at = stpcpy(stpcpy(at, log_level_name(l->level)), "\",\"domain\":\"rabbitmq");
    if (l->category != LOG_DEFAULT)
        at = stpcpy(stpcpy(at, "."), log_category_name(l->category));
    at = stpcpy(put_json(stpcpy(at, "\",\"pid\":\"<"), end, l->where, WHERE_MAX), ">\"");
    if (style->node != NULL)
        at = stpcpy(put_json(stpcpy(at, ",\"node\":\""), end, style->node, NODE_MAX), "\"");
    at = put_json(stpcpy(at, ",\"msg\":\""), end, l->text, LOG_LINE_MAX);
    return stpcpy(at, "\"}");
}

size_t log_line_print(const struct log_line *l, const struct log_style *style, char to[LOG_LINE_ROOM])
{
    static const char *const priorities[] = {"<7>", "<6>", "<5>", "<4>", "<3>", "<2>", ""}; /* as in syslog */
    char *at = style->has_priorities ? stpcpy(to, priorities[l->level]) : to;
    const char *end = to + LOG_LINE_ROOM - END_ROOM;
    at = style->is_json ? put_json_line(at, end, l, style) : put_plain_line(at, end, l, style);
    *at++ = '\n';
    return (size_t)(at - to);
}
