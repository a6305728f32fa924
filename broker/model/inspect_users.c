/* Rows of INSPECT: virtual hosts, users and what they may do, parameters. */
#include "broker/model/access.h"
#include "broker/model/inspect_page.h"
#include "broker/model/parameter.h"
#include "broker/model/queue.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/model/user.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"
#include "codec/table.h"

void inspect_vhost(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    struct vhost *v = item_of(n, struct vhost, in_broker);
    if (!page_wants(p, v->name))
        return;
    const struct parameter *limits = parameter_find(p->b, v->name, BYTES("vhost-limits"), BYTES("limits"));
    struct field value;
    struct pen row =
        row_open(p, v->name.len + v->spec->arguments.len + (limits != NULL ? limits->spec->arguments.len : 0));
    struct depth depth = tallies_depth(&v->tallies);
    row_put_text(&row, "name", v->name);
    pen_bytes(&row, v->spec->arguments);
    row_put_number(&row, "messages", depth.messages);
    row_put_number(&row, "messages_ready", depth.ready);
    row_put_number(&row, "messages_unacknowledged", depth.unacknowledged);
    row_put_statistics(p, &row, &v->counted);
    if (limits != NULL && table_find(limits->spec->arguments, BYTES("value"), &value) && value.type == 'F')
        row_put_table(&row, "limits", value.bytes);
    row_close(p, &row);
}

void inspect_user(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct user *u = item_of(n, struct user, in_broker);
    if (!page_wants(p, u->name))
        return;
    struct pen row = row_open(p, u->name.len + u->spec->arguments.len);
    row_put_text(&row, "name", u->name);
    pen_bytes(&row, u->spec->arguments);
    row_close(p, &row);
}

void inspect_access(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct access *a = item_of(n, struct access, in_vhost);
    if (!page_wants(p, a->user->name))
        return;
    struct pen row = row_open(p, a->user->name.len + a->vhost->name.len + a->spec->arguments.len);
    row_put_text(&row, "user", a->user->name);
    row_put_text(&row, "vhost", a->vhost->name);
    pen_bytes(&row, a->spec->arguments);
    row_close(p, &row);
}

/* What the user who is named may do there. */
void inspect_access_of_user(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    struct access *a = access_find(item_of(n, struct vhost, in_broker), p->to->name);
    if (a != NULL)
        inspect_access(arg, &a->in_vhost);
}

void inspect_topic_access(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct spec *spec = item_of(n, struct topic_access, in_vhost)->spec;
    if (!page_wants(p, spec->name))
        return;
    struct pen row = row_open(p, spec->name.len + spec->vhost.len + spec->key.len + spec->arguments.len);
    row_put_text(&row, "user", spec->name);
    row_put_text(&row, "vhost", spec->vhost);
    row_put_text(&row, "exchange", spec->key);
    pen_bytes(&row, spec->arguments);
    row_close(p, &row);
}

void inspect_parameter(void *arg, struct map_node *n)
{
    const struct page *p = arg;
    const struct spec *spec = item_of(n, struct parameter, in_broker)->spec;
    if (!page_wants(p, spec->name) || (p->to->has_vhost && !bytes_equal(p->to->vhost, spec->vhost)))
        return;
    struct pen row = row_open(p, spec->name.len + spec->vhost.len + spec->type.len + spec->arguments.len);
    row_put_text(&row, "vhost", spec->vhost);
    row_put_text(&row, "component", spec->type);
    row_put_text(&row, "name", spec->name);
    pen_bytes(&row, spec->arguments);
    row_close(p, &row);
}
