#include "broker/default_users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/config.h"
#include "broker/model/broker.h"
#include "broker/net/password.h"
#include "broker/port/spec.h"
#include "codec/table.h"

enum { TABLE_ROOM = 16 << 10 };

enum part { PART_VHOSTS, PART_PASSWORD, PART_TAGS, PART_CONFIGURE, PART_WRITE, PART_READ, PARTS };

/* What keys of one name say; all borrowed of the configuration.  NULL: not said. */
struct given {
    const char *name;
    const char *parts[PARTS];
};

struct all_given {
    struct given *at; /* owned */
    size_t n, capacity;
    enum part part; /* what is being read */
};

static void on_part(void *arg, const char *word, const char *value, uint64_t number)
{
    struct all_given *all = arg;
    size_t i = 0;
    (void)number;
    while (i < all->n && strcmp(all->at[i].name, word) != 0)
        i++;
    if (i == all->capacity) {
        all->capacity = alloc_grown(all->capacity, all->n + 1);
        all->at = alloc_array(all->at, all->capacity, sizeof *all->at);
    }
    if (i == all->n)
        all->at[all->n++] = (struct given){.name = str_copy(bytes_of_string(word))};
    all->at[i].parts[all->part] = value;
}

static void put(struct pen *p, const char *key, const char *text)
{
    table_put_string(p, bytes_of_string(key), bytes_of_string(text));
}

/* "monitoring, policymaker" */
static void put_tags(struct pen *p, const char *tags)
{
    uint8_t *mark = table_open(p, BYTES("tags"), 'A');
    for (const char *at = tags; at != NULL && *at != '\0';) {
        at += strspn(at, ", ");
        size_t len = strcspn(at, ", ");
        if (len > 0)
            table_put_string_in_array(p, bytes_of(at, len));
        at += len;
    }
    table_close(p, mark);
}

static char *add_user(struct broker *b, const struct config *c, const struct given *g, struct bytes vhosts)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    const char *algorithm = config_text(c, KEY_PASSWORD_HASHING_MODULE), *password = g->parts[PART_PASSWORD];
    char *hash = password != NULL ? password_make_hash(bytes_of_string(algorithm), bytes_of_string(password)) : NULL;
    put(&p, "password_hash", hash != NULL ? hash : "");
    put(&p, "hashing_algorithm", algorithm);
    put_tags(&p, g->parts[PART_TAGS]);
    free(hash);
    if (p.full)
        return str_copy(BYTES("too long"));
    const struct spec user = {.name = bytes_of_string(g->name), .arguments = pen_written(&p)};
    return broker_add_vhost_default(b, vhosts, DEFINE_USER, &user);
}

static char *add_permission(struct broker *b, const struct given *g, struct bytes vhosts)
{
    static const char *const names[] = {"configure", "write", "read"};
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        put(&p, names[i], g->parts[PART_CONFIGURE + i] != NULL ? g->parts[PART_CONFIGURE + i] : ".*");
    if (p.full)
        return str_copy(BYTES("too long"));
    const struct spec permission = {
        .vhost = BYTES("/"), .name = bytes_of_string(g->name), .arguments = pen_written(&p)};
    return broker_add_vhost_default(b, vhosts, DEFINE_PERMISSION, &permission);
}

/* True: it has said what is wrong with that one. */
static bool is_wrong(struct broker *b, const struct config *c, const struct given *g)
{
    const struct bytes vhosts = bytes_of_string(g->parts[PART_VHOSTS] != NULL ? g->parts[PART_VHOSTS] : ".*");
    char *why = add_user(b, c, g, vhosts);
    if (why == NULL)
        why = add_permission(b, g, vhosts);
    if (why != NULL)
        fprintf(stderr, "millraced: default_users.%s: %s\n", g->name, why);
    bool is = why != NULL;
    free(why);
    return is;
}

int default_users_load(const struct config *c, struct broker *b)
{
    static const enum config_id keys[PARTS] = {
        [PART_VHOSTS] = KEY_USERS_VHOSTS,       [PART_PASSWORD] = KEY_USERS_PASSWORD, [PART_TAGS] = KEY_USERS_TAGS,
        [PART_CONFIGURE] = KEY_USERS_CONFIGURE, [PART_WRITE] = KEY_USERS_WRITE,       [PART_READ] = KEY_USERS_READ,
    };
    struct all_given all = {0};
    for (unsigned i = 0; i < PARTS; i++) {
        all.part = (enum part)i;
        config_each(c, keys[i], on_part, &all);
    }
    bool are_wrong = all.n > DEFAULT_USERS_MAX;
    if (are_wrong)
        fprintf(stderr, "millraced: default_users: more than %d\n", DEFAULT_USERS_MAX);
    for (size_t i = 0; i < all.n && !are_wrong; i++)
        are_wrong = is_wrong(b, c, &all.at[i]);
    for (size_t i = 0; i < all.n; i++)
        free((char *)(uintptr_t)all.at[i].name);
    free(all.at);
    return are_wrong ? EX_CONFIG : EX_OK;
}
