#include "broker/defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/config.h"
#include "broker/default_users.h"
#include "broker/model/broker.h"
#include "broker/port/spec.h"
#include "codec/table.h"

enum { TABLE_ROOM = 8 << 10, VALUES_MAX = 8 };

/* What keys of one name say. */
struct given {
    char *id;                          /* owned */
    char *vhosts, *pattern, *apply_to; /* owned; NULL: not said */
    struct {
        const char *name; /* of a limit, or a key of a policy */
        int64_t number;
    } values[VALUES_MAX];
    unsigned n;
};

struct all_given {
    struct given *at; /* owned */
    size_t n, capacity;
    const char *key;   /* what is being read: where it goes */
    const char *group; /* how the configuration's keys begin */
    bool is_wrong;
};

static struct given *find(struct all_given *all, const char *id)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->at[i].id, id) == 0)
            return &all->at[i];
    if (all->n == all->capacity) {
        all->capacity = alloc_grown(all->capacity, all->n + 1);
        all->at = alloc_array(all->at, all->capacity, sizeof *all->at);
    }
    all->at[all->n] = (struct given){.id = str_copy(bytes_of_string(id))};
    return &all->at[all->n++];
}

static void on_text(void *arg, const char *word, const char *value, uint64_t number)
{
    struct all_given *all = arg;
    struct given *g = find(all, word);
    char **to = strcmp(all->key, "vhosts") == 0    ? &g->vhosts
                : strcmp(all->key, "pattern") == 0 ? &g->pattern
                                                   : &g->apply_to;
    (void)number;
    free(*to);
    *to = str_copy(bytes_of_string(value));
}

static void add_value(struct all_given *all, const char *word, int64_t number)
{
    struct given *g = find(all, word);
    CHECK(g->n < VALUES_MAX);
    g->values[g->n].name = all->key;
    g->values[g->n++].number = number;
}

static void on_number(void *arg, const char *word, const char *value, uint64_t number)
{
    (void)value;
    add_value(arg, word, (int64_t)number);
}

/* A limit may be negative: there is none. */
static void on_limit(void *arg, const char *word, const char *value, uint64_t number)
{
    struct all_given *all = arg;
    enum { DECIMAL = 10 };
    char *end;
    long long n = strtoll(value, &end, DECIMAL);
    (void)number;
    if (*end != '\0')
        fprintf(stderr, "millraced: %s.%s: '%s' is not a number\n", all->group, word, value);
    all->is_wrong |= *end != '\0';
    add_value(all, word, n);
}

static void gather(struct all_given *all, const struct config *c, enum config_id id, const char *key,
                   config_each_fn *each)
{
    all->key = key;
    config_each(c, id, each, all);
}

/* One of them, as the value of a parameter. */
static bool add(struct broker *b, const struct all_given *all, const struct given *g, const struct spec *names)
{
    uint8_t room[TABLE_ROOM];
    struct pen p = pen_over(room, sizeof room);
    struct spec spec = *names;
    bool is_policy = bytes_equal(names->type, BYTES("operator_policy"));
    uint8_t *value = table_open(&p, BYTES("value"), 'F');
    uint8_t *definition = is_policy ? table_open(&p, BYTES("definition"), 'F') : NULL;
    for (unsigned i = 0; i < g->n; i++)
        table_put_i64(&p, bytes_of_string(g->values[i].name), g->values[i].number);
    if (is_policy) {
        table_close(&p, definition);
        table_put_string(&p, BYTES("pattern"), bytes_of_string(g->pattern != NULL ? g->pattern : ".*"));
        table_put_string(&p, BYTES("apply-to"), bytes_of_string(g->apply_to != NULL ? g->apply_to : "queues"));
        table_put_i64(&p, BYTES("priority"), 0);
    }
    table_close(&p, value);
    spec.arguments = pen_written(&p);
    char *why = p.full ? str_copy(BYTES("too long")) : g->n == 0 ? str_copy(BYTES("it says nothing")) : NULL;
    if (why == NULL)
        why =
            broker_add_vhost_default(b, bytes_of_string(g->vhosts != NULL ? g->vhosts : ".*"), DEFINE_PARAMETER, &spec);
    if (why != NULL)
        fprintf(stderr, "millraced: %s.%s: %s\n", all->group, g->id, why);
    bool is_fine = why == NULL;
    free(why);
    return is_fine;
}

static void forget(struct all_given *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->at[i].id);
        free(all->at[i].vhosts);
        free(all->at[i].pattern);
        free(all->at[i].apply_to);
    }
    free(all->at);
}

/* Likewise all of them; limits are one parameter of a virtual host, so the first that fits counts. */
static int finish(struct all_given *all, struct broker *b, struct bytes type)
{
    bool is_limits = bytes_equal(type, BYTES("vhost-limits"));
    if (all->n > DEFAULTS_MAX) {
        fprintf(stderr, "millraced: %s: more than %d\n", all->group, DEFAULTS_MAX);
        all->is_wrong = true;
    }
    for (size_t i = 0; i < all->n && !all->is_wrong; i++) {
        struct bytes name = is_limits ? BYTES("limits") : bytes_of_string(all->at[i].id);
        all->is_wrong = !add(b, all, &all->at[i], &(struct spec){.type = type, .name = name});
    }
    forget(all);
    return all->is_wrong ? EX_CONFIG : EX_OK;
}

int defaults_load(const struct config *c, struct broker *b)
{
    struct all_given limits = {.group = "default_limits.vhosts"};
    gather(&limits, c, KEY_LIMITS_PATTERN, "vhosts", on_text);
    gather(&limits, c, KEY_LIMITS_CONNECTIONS, "max-connections", on_limit);
    gather(&limits, c, KEY_LIMITS_QUEUES, "max-queues", on_limit);
    struct all_given policies = {.group = "default_policies.operator"};
    gather(&policies, c, KEY_OPERATOR_VHOSTS, "vhosts", on_text);
    gather(&policies, c, KEY_OPERATOR_QUEUES, "pattern", on_text);
    gather(&policies, c, KEY_OPERATOR_APPLY_TO, "apply-to", on_text);
    gather(&policies, c, KEY_OPERATOR_EXPIRES, "expires", on_number);
    gather(&policies, c, KEY_OPERATOR_TTL, "message-ttl", on_number);
    gather(&policies, c, KEY_OPERATOR_LENGTH, "max-length", on_number);
    gather(&policies, c, KEY_OPERATOR_BYTES, "max-length-bytes", on_number);
    gather(&policies, c, KEY_OPERATOR_DELIVERIES, "delivery-limit", on_number);
    int status = finish(&limits, b, BYTES("vhost-limits"));
    int second = finish(&policies, b, BYTES("operator_policy"));
    status = status != EX_OK ? status : second;
    return status != EX_OK ? status : default_users_load(c, b);
}
