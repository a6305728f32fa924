#include "broker/model/user.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/model/access.h"
#include "broker/model/remember.h"
#include "broker/model/state.h"
#include "broker/model/vhost.h"
#include "broker/port/definition.h"
#include "broker/port/spec.h"
#include "codec/table.h"

struct user *user_find(const struct broker *b, struct bytes name)
{
    for (struct map_node *n = map_first(&b->users, hash_bytes(name, b->hash_seed)); n != NULL; n = map_next(n)) {
        struct user *u = item_of(n, struct user, in_broker);
        if (bytes_equal(u->name, name))
            return u;
    }
    return NULL;
}

uint64_t limit_read(struct bytes table, const char *key)
{
    struct field f;
    if (!table_find(table, bytes_of_string(key), &f) || !field_is_integer(&f) || f.integer < 0)
        return LIMIT_NONE;
    return (uint64_t)f.integer;
}

static bool has_tag(struct bytes arguments, struct bytes tag)
{
    struct field tags, f;
    if (!table_find(arguments, BYTES("tags"), &tags) || tags.type != 'A')
        return false;
    struct cursor c = cursor_over(tags.bytes);
    while (table_next_in_array(&c, &f))
        if (f.type == 'S' && bytes_equal(f.bytes, tag))
            return true;
    return false;
}

static void read_arguments(struct broker *b, struct user *u)
{
    struct field limits;
    struct bytes none = {0};
    bool has_limits = table_find(u->spec->arguments, BYTES("limits"), &limits) && limits.type == 'F';
    u->name = u->spec->name;
    u->impersonates = has_tag(u->spec->arguments, BYTES("impersonator"));
    u->connections_max = limit_read(has_limits ? limits.bytes : none, "max-connections");
    u->channels_max = limit_read(has_limits ? limits.bytes : none, "max-channels");
    pace_set(b, &u->pace, limit_read(has_limits ? limits.bytes : none, "max-publish-rate"),
             limit_read(has_limits ? limits.bytes : none, "max-publish-bytes-rate"));
    pace_look_again(b);
}

char *user_refuse(const struct spec *spec)
{
    if (spec->name.len == 0 || spec->name.len > DEFINITION_NAME_MAX)
        return str_format("a user's name has 1 to %d bytes", DEFINITION_NAME_MAX);
    return NULL;
}

static bool same_string(struct bytes a, struct bytes b, const char *key)
{
    struct field x, y;
    bool has_x = table_find(a, bytes_of_string(key), &x), has_y = table_find(b, bytes_of_string(key), &y);
    return has_x == has_y && (!has_x || field_equal_value(&x, &y));
}

static struct user *user_create(struct broker *b, const struct spec *spec)
{
    struct user *u = alloc_zeroed(sizeof *u);
    u->spec = spec_create(spec);
    u->serial = ++b->last_serial;
    list_init(&u->accesses);
    list_init(&u->topics);
    pace_init(&u->pace);
    map_add(&b->users, &u->in_broker, hash_bytes(spec->name, b->hash_seed));
    return u;
}

bool user_put(struct broker *b, const struct spec *spec)
{
    struct user *u = user_find(b, spec->name);
    if (u == NULL) {
        u = user_create(b, spec);
    } else {
        if (table_same_entries(u->spec->arguments, spec->arguments))
            return false;
        if (!same_string(u->spec->arguments, spec->arguments, "password_hash") ||
            !same_string(u->spec->arguments, spec->arguments, "hashing_algorithm"))
            u->serial = ++b->last_serial;
        free(u->spec);
        u->spec = spec_create(spec);
    }
    read_arguments(b, u);
    b->topology_version++;
    remember_definition(b, RECORD_DEFINE, DEFINE_USER, u->spec);
    return true;
}

struct user *user_of_machine(struct broker *b)
{
    if (b->machine != NULL)
        return b->machine;
    struct user *u = b->machine = alloc_zeroed(sizeof *u);
    u->spec = spec_create(&(struct spec){0});
    u->impersonates = true;
    u->connections_max = u->channels_max = LIMIT_NONE;
    list_init(&u->accesses);
    list_init(&u->topics);
    pace_init(&u->pace);
    return u;
}

void user_forget_machine(struct broker *b)
{
    if (b->machine == NULL)
        return;
    pace_fini(b, &b->machine->pace);
    free(b->machine->spec);
    free(b->machine);
    b->machine = NULL;
}

void user_free(struct broker *b, struct user *u)
{
    if (b->actor == u)
        b->actor = NULL;
    map_remove(&b->users, &u->in_broker);
    pace_fini(b, &u->pace);
    free(u->spec);
    free(u);
}

void user_remove(struct broker *b, struct user *u)
{
    struct access *a;
    struct topic_access *t;
    char *why = str_format("user '%.*s' is deleted", BYTES_ARG(u->name));
    list_each (a, &u->accesses, struct access, in_user)
        access_remove(b, a, why);
    free(why);
    list_each (t, &u->topics, struct topic_access, in_user)
        topic_access_remove(b, t);
    remember_definition(b, RECORD_UNDEFINE, DEFINE_USER, u->spec);
    user_free(b, u);
}
