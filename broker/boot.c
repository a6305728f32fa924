#include "broker/boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker/config.h"
#include "broker/defaults.h"
#include "broker/import.h"
#include "broker/model/broker.h"
#include "broker/net/password.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/spec.h"
#include "broker/store/keeper.h"
#include "codec/table.h"

enum { TABLE_ROOM = 16 << 10 };

void boot_ask(struct broker *b, struct keeper *k, struct command *c, struct event *answer)
{
    struct effects e;
    const struct instant now = {.ms = clock_ms(), .wall_ms = clock_wall_ms()};
    effects_init(&e);
    broker_step(b, &now, c, 1, &e);
    CHECK(e.n > 0);
    *answer = e.events[--e.n]; /* what fell due meanwhile comes before it, and is for nobody yet */
    if (k != NULL && e.records.n > 0)
        keeper_keep(k, &e.records);
    effects_fini(&e);
}

/* ---- The default user. */

static void add(struct changes *all, enum definition_class what, const struct spec *spec)
{
    changes_add(all, CHANGE_PUT, what, spec_create(spec));
}

static void put(struct pen *p, const char *key, const char *text)
{
    table_put_string(p, bytes_of_string(key), bytes_of_string(text));
}

struct tags {
    struct pen *p;
    bool are_named; /* whatever is set replaces administrator, be it that it is not one */
};

static void on_tag(void *arg, const char *name, const char *value, uint64_t number)
{
    (void)value;
    struct tags *t = arg;
    t->are_named = true;
    if (number != 0)
        table_put_string_in_array(t->p, bytes_of_string(name));
}

/* False: the tags need more room than there is. */
static bool add_user(struct changes *all, const struct config *c)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    const char *algorithm = config_text(c, KEY_PASSWORD_HASHING_MODULE), *name = config_text(c, KEY_DEFAULT_USER);
    char *hash = password_make_hash(bytes_of_string(algorithm), bytes_of_string(config_text(c, KEY_DEFAULT_PASS)));
    if (hash == NULL)
        log_warning("main", "user '%s' has no password: it cannot log in with one", name);
    put(&p, "password_hash", hash != NULL ? hash : "");
    put(&p, "hashing_algorithm", algorithm);
    uint8_t *mark = table_open(&p, BYTES("tags"), 'A');
    struct tags t = {.p = &p};
    config_each(c, KEY_DEFAULT_USER_TAGS, on_tag, &t);
    if (!t.are_named)
        table_put_string_in_array(&p, BYTES("administrator"));
    table_close(&p, mark);
    free(hash);
    add(all, DEFINE_USER, &(struct spec){.name = bytes_of_string(name), .arguments = pen_written(&p)});
    return !p.full;
}

static void add_permission(struct changes *all, const struct config *c)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    put(&p, "configure", config_text(c, KEY_DEFAULT_CONFIGURE));
    put(&p, "write", config_text(c, KEY_DEFAULT_WRITE));
    put(&p, "read", config_text(c, KEY_DEFAULT_READ));
    add(all, DEFINE_PERMISSION,
        &(struct spec){.vhost = bytes_of_string(config_text(c, KEY_DEFAULT_VHOST)),
                       .name = bytes_of_string(config_text(c, KEY_DEFAULT_USER)),
                       .arguments = pen_written(&p)});
}

static int define_default_user(const struct config *c, struct broker *b, struct keeper *k)
{
    struct command command = {.verb = ALTER, .changes = changes_create()};
    add(command.changes, DEFINE_VHOST, &(struct spec){.name = bytes_of_string(config_text(c, KEY_DEFAULT_VHOST))});
    if (!add_user(command.changes, c)) {
        fputs("millraced: default_user_tags: too many\n", stderr);
        changes_destroy(command.changes);
        return EX_CONFIG;
    }
    add_permission(command.changes, c);
    struct event answer;
    boot_ask(b, k, &command, &answer);
    int status = answer.what == DONE ? EX_OK : EX_CONFIG;
    if (status != EX_OK)
        fprintf(stderr, "millraced: the default user cannot be made: %s\n", answer.failed.text);
    else
        log_info("main", "Created user '%s', with access to vhost '%s'", config_text(c, KEY_DEFAULT_USER),
                 config_text(c, KEY_DEFAULT_VHOST));
    event_drop(&answer);
    return status;
}

/* ---- A folder from before virtual hosts were recorded. */

/* Its virtual host came with what is in it (model/restore.c), which only works while there is no other: so it is
 * recorded before another is. */
static void adopt_vhost(struct broker *b, struct keeper *k)
{
    struct command list = {.verb = INSPECT, .inspection = inspection_create(INSPECT_VHOSTS, NULL, NULL)};
    struct command alter = {.verb = ALTER, .changes = changes_create()};
    struct event answer;
    struct bytes row;
    boot_ask(b, k, &list, &answer);
    CHECK(answer.what == DONE);
    for (size_t at = 0; inspection_next(answer.done.inspection, &at, &row);)
        add(alter.changes, DEFINE_VHOST, &(struct spec){.name = table_find_string(row, "name")});
    event_drop(&answer);
    boot_ask(b, k, &alter, &answer);
    CHECK(answer.what == DONE);
    event_drop(&answer);
}

/* ---- */

int boot_define(const struct config *c, struct broker *b, struct keeper *k, bool has_vhosts)
{
    const char *algorithm = config_text(c, KEY_PASSWORD_HASHING_MODULE);
    int status = EX_OK;
    if (!password_is_hash(bytes_of_string(algorithm), BYTES(""))) {
        fprintf(stderr, "millraced: password_hashing_module: '%s' is not known\n", algorithm);
        return EX_CONFIG;
    }
    if (!has_vhosts && broker_totals(b).vhosts > 0)
        adopt_vhost(b, k);
    status = defaults_load(c, b);
    if (status != EX_OK)
        return status;
    if (import_is_wanted(c))
        status = import_definitions(c, b, k);
    else if (broker_totals(b).users == 0)
        status = define_default_user(c, b, k);
    if (status == EX_OK && broker_totals(b).users == 0)
        log_error("main", "there is no user, so nobody can log in: the definitions that load_definitions names have "
                          "none, and where there are definitions no default user is made; add one to their \"users\", "
                          "or take load_definitions out for one start");
    return status;
}
