#include "tests/unit/guest.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/port/definition.h"
#include "codec/table.h"

static void restore(struct broker *b, enum definition_class what, const struct spec *spec)
{
    struct definition *d = definition_define(what, 0, what == DEFINE_VHOST ? spec->name : spec->vhost, spec);
    CHECK(broker_restore_definition(b, what, 0, d->key, d->value));
    free(d);
}

void guest_let_in(struct broker *b)
{
    uint8_t room[64];
    struct pen p = pen_over(room, sizeof room);
    table_put_string(&p, BYTES("configure"), BYTES(".*"));
    table_put_string(&p, BYTES("write"), BYTES(".*"));
    table_put_string(&p, BYTES("read"), BYTES(".*"));
    restore(b, DEFINE_VHOST, &(struct spec){.name = BYTES("/")});
    restore(b, DEFINE_USER, &(struct spec){.name = BYTES("guest")});
    restore(b, DEFINE_PERMISSION,
            &(struct spec){.vhost = BYTES("/"), .name = BYTES("guest"), .arguments = pen_written(&p)});
}

struct spec *guest_attach(void)
{
    return spec_create(&(struct spec){.name = BYTES("/"), .source = BYTES("guest"), .serial = GUEST_SERIAL});
}
