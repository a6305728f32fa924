#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/fetch.h"
#include "broker/admin/identify.h"
#include "broker/admin/json.h"
#include "broker/admin/listing.h"
#include "broker/admin/shape.h"
#include "broker/admin/visitor.h"

enum { REASON_MAX = 200 }; /* bytes of what a client is told: a close method has room for that */

/* There is no short form of what is nothing but numbers. */
static bool wants_numbers(struct request *r)
{
    if (!r->look.is_short)
        return true;
    request_refuse(r, "Stats in management UI are disabled on this node"); /* r has gone then */
    return false;
}

void consumers_list(struct request *r)
{
    if (!wants_numbers(r))
        return;
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONSUMERS, shape_consumer}},
                                            .is_by_vhost = true,
                                            .vhost = r->n_params > 0 ? &r->param[0] : NULL});
}

static void on_cancelled(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    if (e->done.messages == 0) {
        request_not_found(r);
        return;
    }
    log_info("admin", "%s has cancelled consumer '%.*s' of connection %.*s", r->actor, BYTES_ARG(r->param[3]),
             BYTES_ARG(r->param[1]));
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

/* The connection's name, the channel's number, the consumer's tag. */
void consumers_cancel(struct request *r)
{
    uint32_t channel = 0;
    const struct bytes text = r->param[2];
    for (size_t i = 0; i < text.len && channel <= UINT16_MAX; i++) {
        uint8_t digit = text.at[i] - '0';
        channel = digit <= 9 ? channel * 10 + digit : UINT32_MAX;
    }
    if (channel == 0 || channel > UINT16_MAX || r->param[1].len == 0)
        request_not_found(r);
    else
        request_cancel(r, &(struct spec){.vhost = r->param[0], .name = r->param[1], .key = r->param[3]},
                       (uint16_t)channel, on_cancelled);
}

/* ---- What is out of a queue. */

static void list_unacked(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_UNACKED, shape_unacked}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[0],
                                            .name = &r->param[1]});
}

void queues_unacked(struct request *r)
{
    fetch_to_go_on(r, INSPECT_QUEUES, &r->param[0], &r->param[1], list_unacked);
}

/* ---- Connections. */

void connections_list(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONNECTIONS, shape_connection}}});
}

/* Somebody's own connection, or one that is seen by those who monitor; false: it was answered. */
static bool may_see(struct request *r, const char *key, const json_t *row)
{
    if (row == NULL)
        request_not_found(r);
    else if (!visitor_owns(r->visitor, json_text_in(row, key)))
        identify_refuse(r, "User not authorised to access object");
    else
        return true;
    return false;
}

static void on_one(struct request *r)
{
    if (may_see(r, "user", json_array_get(listing_rows(r), 0)))
        listing_answer_one(r);
}

void connections_get(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONNECTIONS, shape_connection}},
                                            .name = &r->param[0],
                                            .keep = true,
                                            .done = on_one});
}

/* The short form, of one user's. */
static json_t *shape_of_user(struct request *r, json_t *row)
{
    static const char *const names[] = {"name", "vhost", "user"};
    json_t *shown = NULL;
    if (bytes_equal(json_text_in(row, "user"), r->param[0])) {
        shown = json_object();
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            json_set(shown, names[i], json_of_text(json_text_in(row, names[i])));
        json_set(shown, "node", json_string(request_config(r)->node));
    }
    json_decref(row);
    return shown;
}

void connections_of_user(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONNECTIONS, shape_of_user}}});
}

static struct bytes reason_of(const struct request *r)
{
    const char *given = request_header(r, "X-Reason");
    struct bytes reason = bytes_of_string(given != NULL && *given != '\0' ? given : "Closed via management plugin");
    if (reason.len > REASON_MAX)
        reason.len = REASON_MAX;
    return reason;
}

static void on_closed(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    if (e->done.messages == 0) {
        request_not_found(r);
        return;
    }
    log_info("admin", "Closing connection %.*s because \"%.*s\" (%s)", BYTES_ARG(r->param[0]), BYTES_ARG(reason_of(r)),
             r->actor);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

static void expel_one(struct request *r)
{
    request_expel(r, &(struct spec){.name = r->param[0], .objection = reason_of(r)}, 0, on_closed);
}

static void on_to_close(struct request *r)
{
    const json_t *row = json_array_get(listing_rows(r), 0);
    if (row == NULL)
        request_not_found(r);
    else if (!bytes_equal(json_text_in(row, "user"), r->visitor->name))
        identify_refuse(r, "User not authorised to access object");
    else
        expel_one(r);
}

/* Who monitors sees others' connections, but closes only their own. */
void connections_close(struct request *r)
{
    if (visitor_is(r->visitor, TAG_ADMINISTRATOR))
        expel_one(r);
    else
        listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONNECTIONS, shape_as_is}},
                                                .name = &r->param[0],
                                                .keep = true,
                                                .done = on_to_close});
}

static void on_user_closed(struct request *r, struct event *e)
{
    if (!request_is_done(r, e))
        return;
    log_info("admin", "Closing %u connections of user '%.*s' because \"%.*s\" (%s)", e->done.messages,
             BYTES_ARG(r->param[0]), BYTES_ARG(reason_of(r)), r->actor);
    request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

void connections_close_user(struct request *r)
{
    request_expel(r, &(struct spec){.source = r->param[0], .objection = reason_of(r)}, 0, on_user_closed);
}

/* ---- Channels. */

void channels_list(struct request *r)
{
    if (!wants_numbers(r))
        return;
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CHANNELS, shape_channel}}});
}

static void list_channels(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CHANNELS, shape_channel}}, .name = &r->param[0]});
}

static void on_connection(struct request *r)
{
    if (may_see(r, "user", json_array_get(listing_rows(r), 0)))
        list_channels(r);
}

void connections_channels(struct request *r)
{
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONNECTIONS, shape_as_is}},
                                            .name = &r->param[0],
                                            .keep = true,
                                            .done = on_connection});
}

/* "127.0.0.1:40944 -> 127.0.0.1:5672 (1)" */
static json_t *shape_named(struct request *r, json_t *row)
{
    json_t *shown = shape_channel(r, row);
    if (bytes_equal(json_text_in(shown, "name"), r->param[0]))
        return shown;
    json_decref(shown);
    return NULL;
}

static json_t *shape_of_channel(struct request *r, json_t *row)
{
    json_t *shown = shape_consumer(r, row);
    if (bytes_equal(json_text_in(json_object_get(shown, "channel_details"), "name"), r->param[0]))
        return shown;
    json_decref(shown);
    return NULL;
}

static void on_channel_consumers(struct request *r)
{
    json_t *channel = json_incref(r->before);
    json_set(channel, "consumer_details", json_incref(listing_rows(r)));
    json_set(channel, "publishes", json_array());
    json_set(channel, "deliveries", json_array());
    listing_answer_object(r, channel);
}

static void on_channel(struct request *r)
{
    const json_t *row = json_array_get(listing_rows(r), 0);
    if (!may_see(r, "user", row))
        return;
    r->before = json_incref(json_array_get(listing_rows(r), 0));
    r->param[1] = json_text_in(r->before, "vhost");
    listing_begin(r, &(struct listing_plan){.sources = {{INSPECT_CONSUMERS, shape_of_channel}},
                                            .is_by_vhost = true,
                                            .vhost = &r->param[1],
                                            .keep = true,
                                            .done = on_channel_consumers});
}

void channels_get(struct request *r)
{
    listing_begin(
        r, &(struct listing_plan){.sources = {{INSPECT_CHANNELS, shape_named}}, .keep = true, .done = on_channel});
}
