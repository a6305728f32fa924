/* Who did what: the audit log, searched from its end (base/audit_read.h). */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/audit_read.h"
#include "broker/admin/api.h"
#include "broker/admin/json.h"

enum { COUNT_DEFAULT = 100, COUNT_MAX = 1000 };

/* What is looked for, all borrowed from the query; NULL: any. */
struct search {
    const char *action, *object, *user, *vhost, *result;
    const char *since; /* RFC 3339, UTC, or the beginning of one: as text they are in order */
    json_t *found;     /* owned */
    size_t most;
    bool is_over; /* what follows is too old */
};

static bool is_it(const json_t *line, const char *key, const char *wanted)
{
    const char *value = json_string_value(json_object_get(line, key));
    return wanted == NULL || (value != NULL && strcmp(value, wanted) == 0);
}

/* "queue.purge", or "purge" of anything. */
static bool is_action(const json_t *line, const char *wanted)
{
    const char *action = json_string_value(json_object_get(line, "action"));
    if (wanted == NULL || action == NULL)
        return wanted == NULL;
    const char *verb = strchr(action, '.');
    return strcmp(action, wanted) == 0 || (verb != NULL && strcmp(verb + 1, wanted) == 0);
}

/* Cheaper than reading JSON: what is not in the text at all. */
static bool may_be(struct bytes text, const char *wanted)
{
    if (wanted == NULL || wanted[0] == '\0' || strpbrk(wanted, "\"\\") != NULL)
        return true;
    for (const char *c = wanted; *c != '\0'; c++)
        if ((signed char)*c < ' ')
            return true; /* it may be escaped */
    return memmem(text.at, text.len, wanted, strlen(wanted)) != NULL;
}

static bool on_line(struct bytes text, void *arg)
{
    struct search *s = arg;
    if (s->since == NULL && !(may_be(text, s->action) && may_be(text, s->object) && may_be(text, s->user)))
        return true;
    json_t *line = json_loadb((const char *)text.at, text.len, 0, NULL);
    const char *time = json_string_value(json_object_get(line, "time"));
    if (s->since != NULL && time != NULL && strcmp(time, s->since) < 0)
        s->is_over = true;
    else if (json_is_object(line) && is_action(line, s->action) && is_it(line, "object", s->object) &&
             is_it(line, "user", s->user) && is_it(line, "vhost", s->vhost) && is_it(line, "result", s->result))
        json_add(s->found, json_incref(line));
    json_decref(line);
    return !s->is_over && json_array_size(s->found) < s->most;
}

/* "INODE-OFFSET", as the last answer said; false: it is something else. */
static bool read_place(const char *text, struct audit_place *place)
{
    char *end;
    if (text == NULL)
        return true;
    place->inode = strtoull(text, &end, 10);
    if (end == text || *end != '-')
        return false;
    text = end + 1;
    place->offset = strtoull(text, &end, 10);
    return end != text && *end == '\0';
}

void audit_get(struct request *r)
{
    const char *count = request_query(r, "n");
    char *end = NULL;
    struct audit_place place = {0};
    struct search s = {.action = request_query(r, "action"),
                       .object = request_query(r, "object"),
                       .user = request_query(r, "user"),
                       .vhost = request_query(r, "vhost"),
                       .result = request_query(r, "result"),
                       .since = request_query(r, "since")};
    s.most = count != NULL ? strtoul(count, &end, 10) : COUNT_DEFAULT;
    if ((count != NULL && (*end != '\0' || count[0] < '0' || count[0] > '9')) || s.most == 0) {
        request_refuse(r, "n is how many lines at most");
        return;
    }
    if (!read_place(request_query(r, "next"), &place)) {
        request_refuse(r, "next is what the answer before has said");
        return;
    }
    if (!audit_is_on()) {
        request_fail(r, HTTP_STATUS_NOT_FOUND, "not_found",
                     "there is no audit log: the configuration has audit.file = none");
        return;
    }
    if (s.most > COUNT_MAX)
        s.most = COUNT_MAX;
    s.found = json_array();
    bool goes_on = audit_read(&place, on_line, &s) && !s.is_over;
    json_t *o = json_object();
    json_set(o, "items", s.found);
    char next[64];
    snprintf(next, sizeof next, "%llu-%llu", (unsigned long long)place.inode, (unsigned long long)place.offset);
    json_set(o, "next", goes_on ? json_string(next) : json_null());
    request_reply(r, HTTP_STATUS_OK, o);
}
