#define _GNU_SOURCE
/* What RabbitMQ's API does not have, for millracectl: under /api/millrace/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/log_ring.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/note.h"
#include "broker/admin/shape.h"
#include "broker/net/password.h"

enum { DELAY_MAX_MS = 60000, REASON_MAX = 200 };

/* ---- Passwords. */

static void check_login(struct request *r)
{
    struct bytes password = json_text(request_member(r, "password"));
    bool is_right = false;
    if (r->before == NULL)
        password_waste(password);
    else
        is_right = password_check(json_text_in(r->before, "hashing_algorithm"),
                                  json_text_in(r->before, "password_hash"), password);
    if (is_right)
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
    else
        request_fail(r, HTTP_STATUS_UNAUTHORIZED, "not_authorized", "Login failed");
}

void control_authenticate(struct request *r)
{
    struct bytes password;
    if (request_need_text(r, "username", &r->param[0]) && request_need_text(r, "password", &password))
        fetch_before(r, INSPECT_USERS, NULL, &r->param[0], check_login);
}

void control_hash_password(struct request *r)
{
    struct bytes password;
    if (!request_need_text(r, "password", &password))
        return;
    char *hash = password_make_hash(bytes_of_string(request_config(r)->hashing_algorithm), password);
    if (hash == NULL) {
        request_refuse(r, "a password has 1 to %d bytes", PASSWORD_BYTES_MAX);
        return;
    }
    json_t *o = json_object();
    json_set(o, "hash", json_string(hash));
    free(hash);
    request_reply(r, HTTP_STATUS_OK, o);
}

/* ---- The program. */

/* The newest lines of the log, as they were written; ?from=N: those from that number on. */
void control_log(struct request *r)
{
    const char *text = request_query(r, "from");
    char *end = NULL;
    uint64_t from = text != NULL ? strtoull(text, &end, 10) : 0, next;
    size_t length;
    if (text != NULL && (*end != '\0' || text[0] < '0' || text[0] > '9')) {
        request_refuse(r, "from is the number of a line");
        return;
    }
    json_t *items = json_array(), *o = json_object();
    char *lines = log_ring_read(&from, &next, &length);
    for (const char *at = lines, *stop; at < lines + length; at = stop + 1, from++) {
        stop = memchr(at, '\n', (size_t)(lines + length - at));
        json_t *line = json_loadb(at, (size_t)(stop - at), 0, NULL);
        if (line == NULL)
            continue;
        json_set(line, "id", json_integer((json_int_t)from));
        json_add(items, line);
    }
    free(lines);
    json_set(o, "items", items);
    json_set(o, "next", json_integer((json_int_t)next));
    request_reply(r, HTTP_STATUS_OK, o);
}

static void call(struct request *r, void (*function)(void *arg), const char *what, const char *action)
{
    if (function == NULL) {
        request_fail(r, HTTP_STATUS_UNAVAILABLE, "not_available", "there is nothing to %s", what);
        return;
    }
    log_notice("admin", "%s was asked to %s", r->actor, what);
    note_control(r, action, NULL);
    function(request_config(r)->arg);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void control_reload(struct request *r)
{
    call(r, request_config(r)->reload, "reload", "broker.reload");
}

void control_rotate_logs(struct request *r)
{
    call(r, request_config(r)->rotate_logs, "rotate logs", "broker.rotate-logs");
}

void control_stop(struct request *r)
{
    call(r, request_config(r)->stop, "stop", "broker.stop");
}

/* Doors for clients; it is done when the answer goes out. */
static void switch_listeners(struct request *r, bool is_suspended, const char *action)
{
    const struct admin_config *config = request_config(r);
    int status = config->suspend != NULL ? config->suspend(config->arg, is_suspended) : -ENOTSUP;
    if (status != 0) {
        request_fail(r, HTTP_STATUS_UNAVAILABLE, "not_available", "%s", strerrordesc_np(-status));
        return;
    }
    log_notice("admin", "%s has %s the listeners", r->actor, is_suspended ? "suspended" : "resumed");
    note_control(r, action, NULL);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void control_suspend(struct request *r)
{
    switch_listeners(r, true, "broker.suspend-listeners");
}

void control_resume(struct request *r)
{
    switch_listeners(r, false, "broker.resume-listeners");
}

/* A limit, until the next start. */
void control_put_environment(struct request *r)
{
    struct bytes value;
    if (!request_need_text(r, "value", &value))
        return;
    const struct admin_config *config = request_config(r);
    char *key = str_copy(r->param[0]);
    char *wrong = config->set_key != NULL
                      ? config->set_key(config->arg, key, json_string_value(request_member(r, "value")))
                      : str_format("there is nothing to set");
    if (wrong != NULL) {
        request_refuse(r, "%s", wrong);
    } else {
        log_notice("admin", "%s sets %s to %.*s until the next start", r->actor, key, BYTES_ARG(value));
        note_control(r, "broker.set", key);
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
    }
    free(wrong);
    free(key);
}

void control_log_level(struct request *r)
{
    struct bytes name;
    if (!request_need_text(r, "level", &name))
        return;
    int level = log_level_find(json_string_value(request_member(r, "level")));
    if (level < 0) {
        request_refuse(r, "no such level: '%.*s'", BYTES_ARG(name));
        return;
    }
    log_notice("admin", "%s sets the log level to %.*s", r->actor, BYTES_ARG(name));
    note_control(r, "broker.log-level", json_string_value(request_member(r, "level")));
    log_set_level((enum log_level)level);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

/* ---- What it is like. */

static void on_totals(struct request *r)
{
    listing_answer_object(r, shape_status(r, json_incref(json_array_get(listing_rows(r), 0))));
}

void control_status(struct request *r)
{
    listing_begin(r,
                  &(struct listing_plan){.sources = {{INSPECT_TOTALS, shape_as_is}}, .keep = true, .done = on_totals});
}

void control_listeners(struct request *r)
{
    request_reply(r, HTTP_STATUS_OK, shape_listeners(r));
}

/* Lines of "key = value  # origin", as an object. */
static json_t *environment_of(struct bytes text)
{
    static const char equals[] = " = ", origin[] = "  # ";
    json_t *all = json_object();
    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.at) : text.len;
        char *line = str_copy(bytes_of(text.at, len)), *value = strstr(line, equals);
        if (value != NULL) {
            char *from = strstr(value, origin);
            if (from != NULL)
                *from = '\0';
            *value = '\0';
            json_set(all, line, json_of_text(bytes_of_string(value + sizeof equals - 1)));
        }
        free(line);
        len += end != NULL;
        text = bytes_of(text.at + len, text.len - len);
    }
    return all;
}

void control_environment(struct request *r)
{
    const struct admin_config *config = request_config(r);
    char *text = NULL;
    size_t len = 0;
    FILE *to = config->print_environment != NULL ? open_memstream(&text, &len) : NULL;
    if (to == NULL) {
        request_reply(r, HTTP_STATUS_OK, json_object());
        return;
    }
    config->print_environment(config->arg, to);
    fclose(to);
    request_reply(r, HTTP_STATUS_OK, environment_of(bytes_of(text, len)));
    free(text);
}

/* ---- Closing connections: all at once, or one after the other with a pause between.  r->number: how many have gone,
 * r->more: how many more may go, 0: any number. */

static void close_some(struct request *r);

static void on_closed(struct request *r, struct event *e)
{
    int64_t delay = 0;
    if (!request_is_done(r, e) || !request_integer(r, "per_connection_delay_ms", &delay))
        return;
    r->number += e->done.messages;
    bool is_enough = delay == 0 || e->done.messages == 0 || r->number == r->more;
    if (!is_enough) {
        request_wait(r, (uint64_t)delay, close_some);
        return;
    }
    log_info("admin", "%s has closed %lld connections", r->actor, (long long)r->number);
    json_t *o = json_object();
    json_set(o, "closed", json_integer(r->number));
    request_reply(r, HTTP_STATUS_OK, o);
}

static void close_some(struct request *r)
{
    int64_t delay = 0, limit = 0;
    struct bytes reason;
    struct spec whom = {0};
    if (!request_integer(r, "per_connection_delay_ms", &delay) || !request_integer(r, "limit", &limit) ||
        !request_text(r, "vhost", &whom.vhost) || !request_text(r, "user", &whom.source) ||
        !request_text(r, "reason", &reason))
        return;
    if (delay < 0 || delay > DELAY_MAX_MS || limit < 0 || limit > UINT32_MAX) {
        request_refuse(r, "a number is too large or negative");
        return;
    }
    r->more = limit;
    whom.objection = reason.len > 0 ? reason : BYTES("Closed by an administrator");
    if (whom.objection.len > REASON_MAX)
        whom.objection.len = REASON_MAX;
    request_expel(r, &whom, delay > 0 ? 1 : (uint32_t)limit, on_closed);
}

void control_close_connections(struct request *r)
{
    close_some(r);
}

/* ---- The prefetch of a consumer that runs. */

static void on_prefetch(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    if (e->done.messages == 0) {
        request_not_found(r);
        return;
    }
    log_info("admin", "%s has set the prefetch of consumer %s to %lld", r->actor,
             json_string_value(request_member(r, "consumer_tag")), (long long)r->number);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void control_prefetch(struct request *r)
{
    struct spec whom = {0};
    int64_t channel = -1;
    r->number = -1;
    if (!request_need_text(r, "connection", &whom.name) || !request_need_text(r, "consumer_tag", &whom.key) ||
        !request_integer(r, "channel", &channel) || !request_integer(r, "prefetch_count", &r->number))
        return;
    if (channel < 1 || channel > UINT16_MAX || r->number < 0 || r->number > UINT16_MAX) {
        request_refuse(r, "channel is 1 to 65535, prefetch_count 0 to 65535");
        return;
    }
    request_prefetch(r, &whom, (uint16_t)channel, (uint32_t)r->number, on_prefetch);
}
