#include "broker/boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker/config.h"
#include "broker/model/broker.h"
#include "broker/net/password.h"
#include "broker/port/change.h"
#include "broker/port/spec.h"
#include "broker/store/keeper.h"
#include "codec/table.h"

enum { TABLE_ROOM = 4096 };

static void add(struct changes *all, enum definition_class what, const struct spec *spec)
{
    changes_add(all, CHANGE_PUT, what, spec_create(spec));
}

static void put(struct pen *p, const char *key, const char *text)
{
    table_put_string(p, bytes_of_string(key), bytes_of_string(text));
}

static bool add_user(struct changes *all, const struct config *c)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    const char *algorithm = "rabbit_password_hashing_sha256";
    char *hash = password_make_hash(bytes_of_string(algorithm), bytes_of_string(config_text(c, KEY_DEFAULT_PASS)));
    if (hash == NULL)
        return false;
    put(&p, "password_hash", hash);
    put(&p, "hashing_algorithm", algorithm);
    uint8_t *mark = table_open(&p, BYTES("tags"), 'A');
    table_put_string_in_array(&p, BYTES("administrator"));
    table_close(&p, mark);
    add(all, DEFINE_USER,
        &(struct spec){.name = bytes_of_string(config_text(c, KEY_DEFAULT_USER)), .arguments = pen_written(&p)});
    free(hash);
    return true;
}

static void add_permission(struct changes *all, const struct config *c)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    put(&p, "configure", ".*");
    put(&p, "write", ".*");
    put(&p, "read", ".*");
    add(all, DEFINE_PERMISSION,
        &(struct spec){.vhost = bytes_of_string(config_text(c, KEY_DEFAULT_VHOST)),
                       .name = bytes_of_string(config_text(c, KEY_DEFAULT_USER)),
                       .arguments = pen_written(&p)});
}

/* Carries them out before there is a hub; takes them.  0, or the exit status. */
static int carry_out(struct changes *all, struct broker *b, struct keeper *k)
{
    struct effects e;
    struct command c = {.verb = ALTER, .changes = all};
    const struct instant now = {.ms = clock_ms(), .wall_ms = clock_wall_ms()};
    effects_init(&e);
    broker_step(b, &now, &c, 1, &e);
    CHECK(e.n > 0);
    const struct event *answer = &e.events[e.n - 1];
    int status = answer->what == DONE ? EX_OK : EX_CONFIG;
    if (status != EX_OK)
        fprintf(stderr, "millraced: %s\n", answer->failed.text);
    if (e.records.n > 0)
        keeper_keep(k, &e.records);
    effects_fini(&e);
    return status;
}

int boot_define(const struct config *c, struct broker *b, struct keeper *k)
{
    if (broker_totals(b).users > 0)
        return EX_OK;
    struct changes *all = changes_create();
    add(all, DEFINE_VHOST, &(struct spec){.name = bytes_of_string(config_text(c, KEY_DEFAULT_VHOST))});
    if (!add_user(all, c)) {
        log_warning("main", "user '%s' has no password: it cannot log in with one", config_text(c, KEY_DEFAULT_USER));
        add(all, DEFINE_USER, &(struct spec){.name = bytes_of_string(config_text(c, KEY_DEFAULT_USER))});
    }
    add_permission(all, c);
    return carry_out(all, b, k);
}
