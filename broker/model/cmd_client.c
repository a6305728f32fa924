#include <stdlib.h>

#include "base/check.h"
#include "base/str.h"
#include "broker/model/commands.h"
#include "broker/model/outlet.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/spec.h"

void command_attach(struct broker *b, struct command *c, struct outlet *o)
{
    CHECK(o == NULL);
    struct vhost *v = vhost_find(b, c->spec->name);
    if (v == NULL) {
        broker_fail(b, c, NO_SUCH_VHOST, str_format("vhost %.*s not found", BYTES_ARG(c->spec->name)));
        free(c->spec);
        return;
    }
    outlet_create(b, c->from.outlet, v);
    broker_done(b, c, c->spec);
}

void command_reset(struct broker *b, struct command *c, struct stream *s)
{
    uint64_t stamped = s->stamped;
    stream_delete(b, s);
    broker_finish(b);
    struct event *e = broker_done(b, c, NULL);
    if (e->after < stamped)
        e->after = stamped; /* whoever uses the number again is told nothing more of this stream */
}

void command_echo(struct broker *b, struct command *c, struct stream *s)
{
    (void)s;
    broker_done(b, c, c->spec);
}
