#define _GNU_SOURCE
#include "broker/admin/definitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/model/broker.h"
#include "broker/net/password.h"
#include "broker/port/spec.h"
#include "codec/table.h"
#include "tests/unit/census.h"
#include "tests/unit/unit.h"

/* Everything that there is, as small as it can be. */
static const char SMALL[] =
    "{\"rabbit_version\":\"3.10.8\",\"users\":[{\"name\":\"u\",\"password_hash\":\"\",\"hashing_algorithm\":"
    "\"rabbit_password_hashing_sha256\",\"tags\":[\"t\"],\"limits\":{\"max-channels\":1}}],"
    "\"vhosts\":[{\"name\":\"v\",\"metadata\":{\"description\":\"d\",\"tags\":[\"t\"]}}],"
    "\"permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"configure\":\"\",\"write\":\"\",\"read\":\".*\"}],"
    "\"topic_permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"exchange\":\"x\",\"write\":\"a\",\"read\":\"b\"}],"
    "\"parameters\":[{\"component\":\"c\",\"vhost\":\"v\",\"name\":\"n\",\"value\":1}],"
    "\"global_parameters\":[{\"name\":\"g\",\"value\":[1]}],"
    "\"policies\":[{\"vhost\":\"v\",\"name\":\"p\",\"pattern\":\"q\",\"apply-to\":\"all\",\"definition\":"
    "{\"expires\":1},\"priority\":0}],"
    "\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,\"auto_delete\":false,\"arguments\":{\"x-expires\":9}"
    "}],"
    "\"exchanges\":[{\"name\":\"x\",\"vhost\":\"v\",\"type\":\"direct\",\"durable\":true,\"auto_delete\":false,"
    "\"internal\":false,\"arguments\":{\"alternate-exchange\":\"y\"}}],"
    "\"bindings\":[{\"source\":\"x\",\"vhost\":\"v\",\"destination\":\"q\",\"destination_type\":\"queue\","
    "\"routing_key\":\"k\",\"arguments\":{}}]}";

/* --- helpers
 * --------------------------------------------------------------------------------------------------------*/

static struct bytes load(const char *name)
{
    const char *srcdir = getenv("srcdir");
    char *path = str_format("%s/interop/definitions/%s", srcdir != NULL ? srcdir : ".", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("%s is not there", path);
    enum { ROOM = 1 << 20 };
    char *text = alloc(ROOM);
    size_t n = fread(text, 1, ROOM, f);
    assert_in_range(n, 1, ROOM - 1);
    fclose(f);
    free(path);
    return bytes_of(text, n);
}

static void forget(struct bytes text)
{
    free((void *)(uintptr_t)text.at);
}

static struct changes *read_for(struct bytes text, const struct bytes *vhost, const struct definitions_options *o)
{
    char *error = NULL;
    struct changes *c = definitions_read(text, vhost, o, &error);
    if (c == NULL)
        fail_msg("%.200s: %s", (const char *)text.at, error);
    assert_null(error);
    return c;
}

static struct changes *read_ok(const char *text)
{
    return read_for(bytes_of_string(text), NULL, NULL);
}

static void expect_refused_for(struct bytes text, const struct definitions_options *o, const char *part)
{
    char *error = NULL;
    struct changes *c = definitions_read(text, NULL, o, &error);
    if (c != NULL)
        fail_msg("not refused: %.300s", (const char *)text.at);
    assert_non_null(error);
    if (strstr(error, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, error);
    free(error);
}

static void expect_refused(const char *text, const char *part)
{
    expect_refused_for(bytes_of_string(text), NULL, part);
}

/* One object alone in its section. */
static void expect_object_refused(const char *section, const char *object, const char *part)
{
    char *text = str_format("{\"%s\":[%s]}", section, object);
    expect_refused(text, part);
    free(text);
}

/* Carries them out; all of them must be possible. */
static struct changes *make(struct broker *b, struct changes *c)
{
    char *why;
    c = census_alter(b, c, &why);
    if (why != NULL)
        fail_msg("refused: %s", why);
    return c;
}

static void expect_impossible(const char *text, const char *part)
{
    struct broker *b = census_broker();
    char *why, *before = census_export_text(b, NULL);
    struct changes *c = census_alter(b, read_ok(text), &why);
    assert_non_null(why);
    if (strstr(why, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, why);
    char *after = census_export_text(b, NULL);
    assert_string_equal(before, after); /* nothing of it */
    changes_destroy(c);
    free(why);
    free(before);
    free(after);
    broker_destroy(b);
}

static size_t count(const struct changes *c, enum change_outcome outcome)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->at[i].outcome == outcome;
    return n;
}

static bool has(const json_t *array, const json_t *object)
{
    size_t i;
    const json_t *one;
    json_array_foreach(array, i, one) if (json_equal(one, object)) return true;
    return false;
}

/* The same objects in all sections, in any order. */
static void expect_same(json_t *a, json_t *b)
{
    const char *section;
    json_t *objects, *object;
    size_t i;
    assert_int_equal(json_object_size(a), json_object_size(b));
    json_object_foreach(a, section, objects)
    {
        json_t *others = json_object_get(b, section);
        if (!json_is_array(objects)) {
            assert_true(json_is_string(others));
            continue;
        }
        if (json_array_size(objects) != json_array_size(others))
            fail_msg("%s: %zu and %zu", section, json_array_size(objects), json_array_size(others));
        json_array_foreach(objects, i, object) if (!has(others, object))
            fail_msg("%s: lost %s", section, json_dumps(object, 0));
    }
}

/* The i-th change's argument of that name. */
static struct field argument(const struct changes *c, size_t i, const char *key)
{
    struct field f = {0};
    if (!table_find(c->at[i].spec->arguments, bytes_of_string(key), &f))
        fail_msg("no %s", key);
    return f;
}

static void expect_text(const struct changes *c, size_t i, const char *key, const char *value)
{
    struct field f = argument(c, i, key);
    assert_int_equal(f.type, 'S');
    if (!bytes_equal(f.bytes, bytes_of_string(value)))
        fail_msg("%s is %.*s instead of %s", key, BYTES_ARG(f.bytes), value);
}

static struct {
    char text[8192];
    size_t n;
} warned;

static void on_warning(void *arg, const char *text)
{
    (void)arg;
    snprintf(warned.text, sizeof warned.text, "%s", text);
    warned.n++;
}

/* --- there and back
 * -------------------------------------------------------------------------------------------------*/

TEST(what_rabbitmq_exports_is_exported_again)
{
    struct bytes text = load("full.json");
    char *error = NULL;
    struct broker *b = census_broker();
    struct changes *c = make(b, read_for(text, NULL, NULL));
    json_t *from = json_read(text, &error), *to = census_export(b, NULL);
    assert_int_equal(count(c, CHANGE_MADE), c->n);
    expect_same(from, to);
    changes_destroy(c);
    json_decref(from);
    json_decref(to);
    broker_destroy(b);
    forget(text);
}

TEST(one_virtual_hosts_export_goes_into_another)
{
    struct bytes text = load("vhost.json");
    const struct bytes name = BYTES("orders"), other = BYTES("other");
    char *error = NULL;
    for (int i = 0; i < 2; i++) {
        struct broker *b = census_broker();
        changes_destroy(make(b, read_ok("{\"vhosts\":[{\"name\":\"orders\"},{\"name\":\"other\"}]}")));
        changes_destroy(make(b, read_for(text, i == 0 ? &name : &other, NULL)));
        json_t *from = json_read(text, &error), *to = census_export(b, i == 0 ? &name : &other);
        if (i == 0)
            expect_same(from, to);
        assert_int_equal(json_array_size(json_object_get(to, "queues")),
                         json_array_size(json_object_get(from, "queues")));
        json_t *elsewhere = census_export(b, i == 0 ? &other : &name);
        assert_int_equal(json_array_size(json_object_get(elsewhere, "queues")), 0);
        assert_null(json_object_get(to, "users"));
        json_decref(elsewhere);
        json_decref(from);
        json_decref(to);
        broker_destroy(b);
    }
    forget(text);
}

TEST(importing_it_again_changes_nothing)
{
    struct bytes text = load("full.json");
    struct broker *b = census_broker();
    changes_destroy(make(b, read_for(text, NULL, NULL)));
    struct changes *again = make(b, read_for(text, NULL, NULL));
    assert_true(again->n > 100);
    assert_int_equal(count(again, CHANGE_NOTHING), again->n);
    changes_destroy(again);
    char *mine = census_export_text(b, NULL);
    struct changes *ours = make(b, read_ok(mine));
    assert_int_equal(count(ours, CHANGE_NOTHING), ours->n);
    changes_destroy(ours);
    free(mine);
    broker_destroy(b);
    forget(text);
}

static void reverse(json_t *document)
{
    const char *section;
    json_t *objects;
    json_object_foreach(document, section, objects)
    {
        json_t *turned = json_array();
        if (!json_is_array(objects)) {
            json_decref(turned);
            continue;
        }
        for (size_t i = json_array_size(objects); i > 0; i--)
            json_add(turned, json_incref(json_array_get(objects, i - 1)));
        json_set(document, section, turned);
    }
}

TEST(an_export_does_not_depend_on_the_order_of_things)
{
    struct bytes text = load("full.json");
    char *error = NULL;
    json_t *document = json_read(text, &error);
    reverse(document);
    char *turned = json_dumps(document, 0);
    struct broker *a = census_broker(), *b = census_broker();
    changes_destroy(make(a, read_for(text, NULL, NULL)));
    changes_destroy(make(b, read_ok(turned)));
    char *of_a = census_export_text(a, NULL), *of_b = census_export_text(b, NULL);
    assert_string_equal(of_a, of_b);
    free(of_a);
    free(of_b);
    free(turned);
    json_decref(document);
    broker_destroy(a);
    broker_destroy(b);
    forget(text);
}

TEST(sections_and_keys_come_in_rabbitmqs_order)
{
    struct bytes text = load("full.json");
    char *error = NULL;
    struct broker *b = census_broker();
    changes_destroy(make(b, read_for(text, NULL, NULL)));
    json_t *from = json_read(text, &error), *to = census_export(b, NULL);
    void *i = json_object_iter(from), *j = json_object_iter(to);
    for (; i != NULL && j != NULL; i = json_object_iter_next(from, i), j = json_object_iter_next(to, j)) {
        assert_string_equal(json_object_iter_key(i), json_object_iter_key(j));
        json_t *one = json_array_get(json_object_iter_value(i), 0), *two = json_array_get(json_object_iter_value(j), 0);
        void *k = json_object_iter(one), *l = json_object_iter(two);
        for (; k != NULL && l != NULL; k = json_object_iter_next(one, k), l = json_object_iter_next(two, l))
            assert_string_equal(json_object_iter_key(k), json_object_iter_key(l));
        assert_true(k == NULL && l == NULL);
    }
    assert_true(i == NULL && j == NULL);
    json_decref(from);
    json_decref(to);
    broker_destroy(b);
    forget(text);
}

TEST(descriptions_of_virtual_hosts_are_kept)
{
    struct broker *b = census_broker();
    struct changes *c = make(
        b,
        read_ok("{\"vhosts\":[{\"name\":\"a\",\"description\":\"of a\",\"tags\":\"x, y,\",\"default_queue_type\":"
                "\"undefined\"},{\"name\":\"b\",\"metadata\":{\"description\":\"of b\",\"tags\":[\"z\"],"
                "\"default_queue_type\":\"classic\"},\"limits\":[]},{\"name\":\"c\",\"limits\":{\"max-queues\":7}}]}"));
    assert_int_equal(c->n, 4);
    changes_destroy(c);
    json_t *to = census_export(b, NULL);
    char *error = NULL, *text = json_dumps(json_object_get(to, "vhosts"), JSON_COMPACT);
    assert_string_equal(text, "[{\"name\":\"a\",\"metadata\":{\"description\":\"of a\",\"tags\":[\"x\",\"y\"]}},"
                              "{\"name\":\"b\",\"metadata\":{\"description\":\"of b\",\"tags\":[\"z\"],"
                              "\"default_queue_type\":\"classic\"}},{\"name\":\"c\"}]");
    json_t *limits = json_read(BYTES("[{\"value\":{\"max-queues\":7},\"vhost\":\"c\",\"component\":\"vhost-limits\","
                                     "\"name\":\"limits\"}]"),
                               &error);
    assert_true(json_equal(limits, json_object_get(to, "parameters")));
    json_decref(limits);
    json_decref(to);
    free(text);
    broker_destroy(b);
}

/* --- users
 * ----------------------------------------------------------------------------------------------------------*/

TEST(hashes_are_taken_as_they_are)
{
    struct changes *c = read_ok(
        "{\"users\":[{\"name\":\"a\",\"password_hash\":\"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR\",\"tags\":"
        "\"one,two\"},{\"name\":\"b\",\"tags\":[]},{\"name\":\"c\",\"password_hash\":null,\"password\":null,\"tags\":"
        "null,\"limits\":null}]}");
    expect_text(c, 0, "password_hash", "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
    expect_text(c, 0, "hashing_algorithm", "rabbit_password_hashing_sha256");
    assert_true(password_check(argument(c, 0, "hashing_algorithm").bytes, argument(c, 0, "password_hash").bytes,
                               BYTES("test12")));
    struct field tags = argument(c, 0, "tags");
    json_t *words = json_of_value(&tags);
    char *text = json_dumps(words, JSON_COMPACT);
    assert_string_equal(text, "[\"one\",\"two\"]");
    free(text);
    json_decref(words);
    expect_text(c, 1, "password_hash", "");
    expect_text(c, 2, "password_hash", "");
    changes_destroy(c);
}

TEST(very_old_documents_hash_by_md5)
{
    static const char USER[] = "\"users\":[{\"name\":\"a\",\"password_hash\":\"kI3GCqW5JLMJa4iX1lo7X4D6XbY=\"}]}";
    char *old = str_format("{\"rabbit_version\":\"3.5.7\",%s", USER),
         *new = str_format("{\"rabbit_version\":\"3.6.0\",%s", USER);
    struct changes *c = read_ok(old);
    expect_text(c, 0, "hashing_algorithm", "rabbit_password_hashing_md5");
    expect_refused(new, "users[0] ('a'): \"password_hash\" is not a hash of rabbit_password_hashing_sha256");
    changes_destroy(c);
    free(old);
    free(new);
}

TEST(hashes_that_are_none_are_refused)
{
    expect_object_refused("users", "{\"name\":\"a\",\"password_hash\":\"x\"}", "is not a hash");
    expect_object_refused("users",
                          "{\"name\":\"a\",\"password_hash\":\"!I3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR\"}",
                          "is not a hash");
    expect_object_refused("users", "{\"name\":\"a\",\"password_hash\":\"\",\"hashing_algorithm\":\"rot13\"}",
                          "the hashing algorithm 'rot13' is not known");
    expect_object_refused("users", "{\"name\":\"a\",\"password_hash\":5}", "\"password_hash\" must be text");
    expect_object_refused("users", "{\"name\":\"a\",\"hashing_algorithm\":5}", "\"hashing_algorithm\" must be text");
    expect_object_refused("users", "{\"name\":\"a\",\"password\":5}", "\"password\" must be text");
    expect_object_refused("users", "{\"name\":\"a\",\"tags\":5}", "\"tags\" must be words");
    expect_object_refused("users", "{\"name\":\"a\",\"tags\":[5]}", "\"tags\" must be words");
    expect_object_refused("users", "{\"name\":\"\"}", "\"name\" is empty");
}

TEST(plain_passwords_are_hashed)
{
    const struct definitions_options o = {.hashing_algorithm = BYTES("rabbit_password_hashing_sha512")};
    struct changes *c = read_for(
        BYTES("{\"users\":[{\"name\":\"a\",\"password\":\"secret\"},{\"name\":\"b\",\"password\":\"\"}]}"), NULL, &o);
    expect_text(c, 0, "hashing_algorithm", "rabbit_password_hashing_sha512");
    assert_true(password_check(argument(c, 0, "hashing_algorithm").bytes, argument(c, 0, "password_hash").bytes,
                               BYTES("secret")));
    expect_text(c, 1, "password_hash", "");
    changes_destroy(c);
}

TEST(plain_passwords_have_to_be_good_enough)
{
    char *error = NULL;
    struct definitions_options o = {
        .credential = credential_create("rabbit_credential_validator_min_password_length", 8, NULL, &error)};
    expect_refused_for(BYTES("{\"users\":[{\"name\":\"a\",\"password\":\"1234567\"}]}"), &o,
                       "users[0] ('a'): minimum required password length: 8");
    changes_destroy(read_for(BYTES("{\"users\":[{\"name\":\"a\",\"password\":\"12345678\"}]}"), NULL, &o));
    credential_destroy(o.credential);
}

static bool keep(void *arg, struct bytes user, struct bytes password, char **algorithm, char **hash)
{
    (void)arg;
    if (!bytes_equal(user, BYTES("known")) || !bytes_equal(password, BYTES("right")))
        return false;
    *algorithm = str_copy(BYTES("rabbit_password_hashing_md5"));
    *hash = str_copy(BYTES("kI3GCqW5JLMJa4iX1lo7X4D6XbY="));
    return true;
}

TEST(a_password_that_a_user_has_already_keeps_its_hash)
{
    const struct definitions_options o = {.keep = keep};
    struct changes *c = read_for(BYTES("{\"users\":[{\"name\":\"known\",\"password\":\"right\"},{\"name\":\"known\","
                                       "\"password\":\"new\"}]}"),
                                 NULL, &o);
    expect_text(c, 0, "password_hash", "kI3GCqW5JLMJa4iX1lo7X4D6XbY=");
    expect_text(c, 0, "hashing_algorithm", "rabbit_password_hashing_md5");
    expect_text(c, 1, "hashing_algorithm", "rabbit_password_hashing_sha256");
    changes_destroy(c);
}

/* --- what is not said, and what means nothing here
 * -------------------------------------------------------------------*/

TEST(what_is_missing_is_as_people_expect)
{
    struct changes *c =
        read_ok("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\"},{\"name\":\"r\",\"vhost\":\"v\",\"durable\":"
                "\"false\",\"auto_delete\":\"true\",\"arguments\":[]}],"
                "\"exchanges\":[{\"name\":\"x\",\"vhost\":\"v\",\"type\":\"fanout\"}],"
                "\"policies\":[{\"vhost\":\"v\",\"name\":\"p\",\"pattern\":\"\",\"definition\":"
                "{\"expires\":1}}]}");
    assert_int_equal(c->n, 4);
    assert_true(c->at[0].what == DEFINE_EXCHANGE && c->at[0].spec->durable);
    assert_false(c->at[0].spec->auto_delete || c->at[0].spec->internal);
    assert_int_equal(c->at[1].what, DEFINE_PARAMETER);
    struct field value = argument(c, 1, "value"), member;
    assert_true(table_find(value.bytes, BYTES("priority"), &member) && member.type == 'l' && member.integer == 0);
    assert_true(table_find(value.bytes, BYTES("apply-to"), &member) && bytes_equal(member.bytes, BYTES("all")));
    assert_true(c->at[2].what == DEFINE_QUEUE && c->at[2].spec->durable && !c->at[2].spec->auto_delete);
    assert_true(!c->at[3].spec->durable && c->at[3].spec->auto_delete);
    changes_destroy(c);
}

TEST(an_empty_document_asks_for_nothing)
{
    static const char *const texts[] = {"",
                                        " \n",
                                        "{}",
                                        "{\"queues\":[]}",
                                        "{\"queues\":null}",
                                        "{\"nonsense\":[{}]}",
                                        "{\"nonsense\":5,\"users\":[]}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct changes *c = read_ok(texts[i]);
        assert_int_equal(c->n, 0);
        changes_destroy(c);
    }
}

TEST(things_come_in_the_order_in_which_they_can_be_made)
{
    static const enum definition_class order[] = {
        DEFINE_VHOST,    DEFINE_USER,      DEFINE_PERMISSION, DEFINE_TOPIC_PERMISSION,
        DEFINE_EXCHANGE, DEFINE_PARAMETER, DEFINE_PARAMETER,  DEFINE_PARAMETER,
        DEFINE_QUEUE,    DEFINE_BINDING};
    struct changes *c = read_ok(SMALL);
    assert_int_equal(c->n, sizeof order / sizeof order[0]);
    for (size_t i = 0; i < c->n; i++)
        assert_int_equal(c->at[i].what, order[i]);
    assert_int_equal(c->at[5].spec->vhost.len, 0);
    struct broker *b = census_broker();
    c = make(b, c);
    assert_int_equal(count(c, CHANGE_MADE), c->n);
    changes_destroy(c);
    broker_destroy(b);
}

TEST(queues_whose_names_a_broker_made_up_are_made)
{
    struct broker *b = census_broker();
    struct changes *c = make(b, read_ok("{\"vhosts\":[{\"name\":\"v\"}],\"queues\":[{\"name\":\"amq.gen-x\",\"vhost\":"
                                        "\"v\"}]}"));
    assert_int_equal(count(c, CHANGE_MADE), 2);
    changes_destroy(c);
    broker_destroy(b);
}

TEST(the_brokers_own_exchanges_are_left_alone)
{
    const struct definitions_options o = {.warn = on_warning};
    warned.n = 0;
    struct changes *c =
        read_for(BYTES("{\"exchanges\":[{\"name\":\"\",\"vhost\":\"v\",\"type\":\"direct\"},{\"name\":"
                       "\"amq.topic\",\"vhost\":\"v\",\"type\":\"topic\"}],\"bindings\":[{\"source\":\"\","
                       "\"vhost\":\"v\",\"destination\":\"q\",\"destination_type\":\"queue\","
                       "\"routing_key\":\"q\"}]}"),
                 NULL, &o);
    assert_int_equal(c->n, 0);
    assert_int_equal(warned.n, 3);
    assert_non_null(strstr(warned.text, "bindings[0]"));
    changes_destroy(c);
}

TEST(into_one_virtual_host_no_others_are_imported)
{
    const struct definitions_options o = {.warn = on_warning};
    const struct bytes vhost = BYTES("other");
    warned.n = 0;
    struct changes *c = read_for(bytes_of_string(SMALL), &vhost, &o);
    assert_int_equal(c->n, 5);
    assert_int_equal(warned.n, 5); /* users, vhosts, permissions, topic_permissions, global_parameters */
    for (size_t i = 0; i < c->n; i++)
        assert_true(bytes_equal(c->at[i].spec->vhost, vhost));
    changes_destroy(c);
    expect_object_refused("queues", "{\"name\":\"q\"}",
                          "queues[0] ('q'): \"vhost\" is missing; if this is the export of");
}

/* --- what is wrong
 * --------------------------------------------------------------------------------------------------*/

TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *section, *object, *part;
    } cases[] = {
        {"queues", "5", "queues[0]: must be an object"},
        {"queues", "{\"vhost\":\"v\"}", "queues[0]: \"name\" is missing"},
        {"queues", "{\"name\":null,\"vhost\":\"v\"}", "queues[0]: \"name\" must be text"},
        {"queues", "{\"name\":\"\",\"vhost\":\"v\"}", "\"name\" is empty"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"\"}", "\"vhost\" is empty"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"durable\":1}",
         "queues[0] ('q' in vhost 'v'): \"durable\" must be"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"arguments\":5}", "\"arguments\" must be an object"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"arguments\":[5]}", "\"arguments\" must be an object"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"arguments\":{\"x-message-ttl\":-1}}",
         "invalid arg 'x-message-ttl' for queue 'q' in vhost 'v': {value_negative,-1}"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"arguments\":{\"x-expires\":\"1\"}}",
         "expected integer, got longstr"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"arguments\":{\"x-dead-letter-routing-key\":\"k\"}}",
         "routing_key_but_no_dlx_defined"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"type\":\"nonsense\"}", "nonsense"},
        {"queues", "{\"name\":\"q\",\"vhost\":\"v\",\"type\":5}", "\"type\" must be text"},
        {"exchanges", "{\"name\":\"x\",\"vhost\":\"v\"}", "exchanges[0] ('x' in vhost 'v'): \"type\" is missing"},
        {"exchanges", "{\"name\":\"x\",\"vhost\":\"v\",\"type\":\"topic\",\"arguments\":{\"alternate-exchange\":1}}",
         "\"alternate-exchange\" must be text"},
        {"bindings", "{\"source\":\"x\",\"vhost\":\"v\",\"destination\":\"q\",\"routing_key\":\"\"}",
         "bindings[0] ('x' in vhost 'v'): \"destination_type\" is missing"},
        {"bindings",
         "{\"source\":\"x\",\"vhost\":\"v\",\"destination\":\"q\",\"destination_type\":\"x\",\"routing_key\":\"\"}",
         "must be queue or exchange"},
        {"permissions", "{\"user\":\"u\",\"vhost\":\"v\",\"configure\":\"(\",\"write\":\"\",\"read\":\"\"}",
         "permissions[0] ('u' in vhost 'v'): \"configure\": "},
        {"permissions", "{\"user\":\"u\",\"vhost\":\"v\",\"write\":\"\",\"read\":\"\"}", "\"configure\" is missing"},
        {"permissions", "{\"user\":\"u\",\"vhost\":\"v\",\"configure\":\"\",\"write\":5,\"read\":\"\"}",
         "\"write\" must be text"},
        {"topic_permissions", "{\"user\":\"u\",\"vhost\":\"v\",\"exchange\":\"x\",\"write\":\"[\",\"read\":\"\"}",
         "\"write\": "},
        {"policies", "{\"vhost\":\"v\",\"name\":\"p\",\"pattern\":\"\",\"definition\":{\"nope\":1}}",
         "policies[0] ('p' in vhost 'v'): [{<<\"nope\">>,1}] are not recognised policy settings"},
        {"parameters",
         "{\"vhost\":\"v\",\"component\":\"operator_policy\",\"name\":\"p\",\"value\":{\"pattern\":\"\","
         "\"definition\":{\"dead-letter-exchange\":\"x\"}}}",
         "are not recognised policy settings"},
        {"parameters",
         "{\"vhost\":\"v\",\"component\":\"vhost-limits\",\"name\":\"limits\",\"value\":{\"max-queues\":[]}}",
         "max-queues should be a number, actually was []"},
        {"parameters", "{\"vhost\":\"v\",\"component\":\"c\",\"name\":\"n\"}", "\"value\" is missing"},
        {"global_parameters", "{\"name\":\"n\"}", "\"value\" is missing"},
        {"vhosts", "{\"name\":\"v\",\"description\":5}", "\"description\" must be text"},
        {"vhosts", "{\"name\":\"v\",\"metadata\":5}", "\"metadata\" must be an object"},
        {"vhosts", "{\"name\":\"v\",\"limits\":5}", "limits should be an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_object_refused(cases[i].section, cases[i].object, cases[i].part);
    expect_refused("{\"queues\":5}", "\"queues\" must be an array");
    expect_refused("{\"queues\":{}}", "\"queues\" must be an array");
    expect_refused("[]", "not an object");
    expect_refused("5", "not an object");
}

TEST(what_the_broker_cannot_do_is_named_and_leaves_nothing)
{
    expect_impossible("{\"vhosts\":[{\"name\":\"v\"}],\"queues\":[{\"name\":\"q\",\"vhost\":\"nosuch\"}]}",
                      "queue 'q' in vhost 'nosuch': vhost 'nosuch' does not exist");
    expect_impossible(
        "{\"vhosts\":[{\"name\":\"v\"}],\"permissions\":[{\"user\":\"nosuch\",\"vhost\":\"v\",\"configure\":"
        "\"\",\"write\":\"\",\"read\":\"\"}]}",
        "permissions of user 'nosuch' in vhost 'v': user 'nosuch' does not exist");
    expect_impossible(
        "{\"vhosts\":[{\"name\":\"v\"}],\"exchanges\":[{\"name\":\"x\",\"vhost\":\"v\",\"type\":\"x-magic\"}]}",
        "exchange 'x' in vhost 'v': invalid exchange type 'x-magic'");
}

TEST(what_is_there_otherwise_is_skipped)
{
    struct broker *b = census_broker();
    changes_destroy(make(b, read_ok(SMALL)));
    struct changes *c = make(
        b,
        read_ok("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":false}],\"exchanges\":[{\"name\":\"x\","
                "\"vhost\":\"v\",\"type\":\"topic\"}],\"bindings\":[{\"source\":\"x\",\"vhost\":\"v\",\"destination\":"
                "\"nosuch\",\"destination_type\":\"queue\",\"routing_key\":\"\"}]}"));
    assert_int_equal(count(c, CHANGE_SKIPPED), 3);
    definitions_log_plan(c);
    definitions_log_outcome(c);
    changes_destroy(c);
    json_t *to = census_export(b, NULL);
    assert_int_equal(json_array_size(json_object_get(to, "queues")), 1);
    assert_int_equal(json_array_size(json_object_get(to, "bindings")), 1);
    json_decref(to);
    broker_destroy(b);
}

/* --- hostile
 * --------------------------------------------------------------------------------------------------------*/

/* Refused or read, and then the model answers; nothing breaks. */
static void try_text(const char *text)
{
    const struct definitions_options o = {.warn = on_warning};
    char *error = NULL;
    struct changes *c = definitions_read(bytes_of_string(text), NULL, &o, &error);
    if (c == NULL) {
        assert_non_null(error);
        assert_true(strlen(error) > 0);
        free(error);
        return;
    }
    struct broker *b = census_broker();
    c = census_alter(b, c, &error);
    changes_destroy(c);
    free(error);
    json_decref(census_export(b, NULL));
    broker_check(b);
    broker_destroy(b);
}

static void try_document(const json_t *document)
{
    char *text = json_dumps(document, 0);
    try_text(text);
    free(text);
}

static json_t *nested(unsigned depth)
{
    json_t *inner = json_integer(1);
    while (depth-- > 0) {
        json_t *outer = json_object();
        json_set(outer, "x", inner);
        inner = outer;
    }
    return inner;
}

/* The i-th of the values that nobody expects, or NULL. */
static json_t *hostile(unsigned i)
{
    enum { LONG = 256, HUGE_TEXT = 1 << 17, MANY = 200 };
    char *text;
    json_t *value;
    switch (i) {
    case 0:
        return json_null();
    case 1:
        return json_true();
    case 2:
        return json_integer(INT64_MIN);
    case 3:
        return json_real(-1e308);
    case 4:
        return json_string("");
    case 5:
    case 6:
        text = alloc((size_t)HUGE_TEXT + 1);
        memset(text, 'x', HUGE_TEXT);
        text[i == 5 ? LONG : HUGE_TEXT] = '\0';
        value = json_string(text);
        free(text);
        return value;
    case 7:
        return json_array();
    case 8:
        return json_object();
    case 9:
        value = json_array();
        for (int n = 0; n < MANY; n++)
            json_add(value, n % 2 == 0 ? json_null() : json_integer(n));
        return value;
    case 10:
        value = json_object();
        for (int n = 0; n < MANY; n++) {
            char name[16];
            snprintf(name, sizeof name, "x-%d", n);
            json_set(value, name, json_integer(n));
        }
        return value;
    case 11:
        return nested(40);
    case 12:
        return json_stringn("a\0b", 3);
    case 13:
        return json_string("(a+)+$");
    case 14:
        return json_string("amq.topic");
    default:
        return NULL;
    }
}

/* Every member of every object, and those of what is in them, is replaced by all that nobody expects, and left out. */
static void spoil(json_t *document, json_t *object)
{
    const char *key;
    json_t *value, *copy = json_copy(object);
    json_object_foreach(copy, key, value)
    {
        json_t *bad;
        for (unsigned i = 0; (bad = hostile(i)) != NULL; i++) {
            json_set(object, key, bad);
            try_document(document);
        }
        json_object_del(object, key);
        try_document(document);
        json_set(object, key, json_incref(value));
        if (json_is_object(value))
            spoil(document, value);
    }
    json_decref(copy);
}

TEST(no_member_can_break_it)
{
    const char *section;
    char *error = NULL;
    json_t *document = json_read(bytes_of_string(SMALL), &error), *objects, *copy = json_copy(document);
    spoil(document, document);
    json_object_foreach(copy, section, objects) if (json_is_array(objects)) spoil(document, json_array_get(objects, 0));
    json_decref(copy);
    json_decref(document);
}

TEST(a_document_that_ends_early_is_refused)
{
    char *error = NULL;
    for (size_t n = 1; n < sizeof SMALL - 1; n++) {
        char *part = alloc_copy(SMALL, n); /* exactly as large: sanitizers see what reads beyond */
        assert_null(definitions_read(bytes_of(part, n), NULL, NULL, &error));
        assert_non_null(error);
        free(error);
        free(part);
    }
}

TEST(json_that_is_none_is_refused_with_its_place)
{
    char *deep = alloc(200002);
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    expect_refused("{\n \"queues\": [,]}", "2:");
    expect_refused("{\"a\":1,\"a\":2}", "duplicate");
    expect_refused("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"name\":\"r\"}]}", "duplicate");
    expect_refused("{\"a\":\"\xff\"}", "1:");
    expect_refused("{\"a\":\"\xed\xa0\x80\"}", "1:");
    expect_refused("{\"a\":99999999999999999999999999}", "1:");
    expect_refused("{\"a\":1e999}", "1:");
    expect_refused("{} x", "1:");
    expect_refused(deep, ":");
    memset(deep, ' ', 200000);
    for (int i = 0; i < 65; i++) {
        deep[i] = '[';
        deep[130 - i] = ']';
    }
    deep[131] = '\0';
    expect_refused(deep, "nested deeper than 64 levels");
    free(deep);
}

TEST(a_document_that_is_too_large_is_not_even_read)
{
    expect_refused_for(BYTES("{\"a\":1}"), &(struct definitions_options){.bytes_max = 6}, "larger than 6 bytes");
    changes_destroy(read_for(BYTES("{\"a\":1}"), NULL, &(struct definitions_options){.bytes_max = 7}));
}

/* --- exporting rows
 * -------------------------------------------------------------------------------------------------*/

/* A row of a queue, which the page gets. */
static void add_queue(struct inspection *page, const char *name, bool exclusive, bool durable)
{
    enum { ROOM = 1024 };
    struct pen p = pen_over(inspection_open_row(page, ROOM), ROOM);
    table_put_string(&p, BYTES("name"), bytes_of_string(name));
    table_put_string(&p, BYTES("vhost"), BYTES("v"));
    table_put_bool(&p, BYTES("durable"), durable);
    table_put_bool(&p, BYTES("auto_delete"), false);
    table_put_bool(&p, BYTES("exclusive"), exclusive);
    table_close(&p, table_open(&p, BYTES("arguments"), 'F'));
    inspection_close_row(page, pen_written(&p).len);
}

TEST(exclusive_queues_are_left_out_and_others_are_there_once)
{
    const struct bytes vhost = BYTES("v");
    struct definitions_writer *w = definitions_writer_create("1", "p", "2", &vhost);
    struct inspection *i;
    unsigned pages = 0;
    while ((i = definitions_want(w)) != NULL) {
        if (i->what != INSPECT_QUEUES) {
            inspection_destroy(i);
            definitions_skip(w);
            continue;
        }
        inspection_clear(i);
        add_queue(i, pages == 0 ? "b" : "c", false, true);
        add_queue(i, "mine", true, true);
        add_queue(i, "a", false, pages != 0); /* seen twice, and changed meanwhile */
        i->cursor = pages++ == 0 ? 7 : 0;
        definitions_take(w, i);
    }
    assert_int_equal(pages, 2);
    json_t *document = definitions_finish(w);
    char *text = json_dumps(document, JSON_COMPACT);
    assert_string_equal(text, "{\"rabbit_version\":\"1\",\"parameters\":[],\"policies\":[],\"queues\":["
                              "{\"name\":\"a\",\"durable\":true,\"auto_delete\":false,\"arguments\":{}},"
                              "{\"name\":\"b\",\"durable\":true,\"auto_delete\":false,\"arguments\":{}},"
                              "{\"name\":\"c\",\"durable\":true,\"auto_delete\":false,\"arguments\":{}}],"
                              "\"exchanges\":[],\"bindings\":[]}");
    free(text);
    json_decref(document);
}

TEST(a_writer_may_be_dropped_in_the_middle)
{
    struct definitions_writer *w = definitions_writer_create("1", "p", "2", NULL);
    struct inspection *i = definitions_want(w);
    assert_int_equal(i->what, INSPECT_VHOSTS);
    i->cursor = 5;
    definitions_take(w, i);
    definitions_writer_destroy(w);
    definitions_writer_destroy(NULL);
}

TEST(names_that_only_bytes_tell_apart_are_all_there)
{
    struct broker *b = census_broker();
    static const char TEXT[] =
        "{\"vhosts\":[{\"name\":\"v\"},{\"name\":\"v\\u0000\"},{\"name\":\"v\\u0000\\u0001\"}],"
        "\"queues\":[{\"name\":\"\\u0000q\",\"vhost\":\"v\"},{\"name\":\"q\",\"vhost\":\"v\\u0000\"},"
        "{\"name\":\"q\",\"vhost\":\"v\\u0000\\u0001\"},{\"name\":\"\\u0001q\",\"vhost\":\"v\"}]}";
    changes_destroy(make(b, read_ok(TEXT)));
    char *text = census_export_text(b, NULL);
    struct changes *again = make(b, read_ok(text));
    assert_int_equal(again->n, 7);
    assert_int_equal(count(again, CHANGE_NOTHING), 7);
    changes_destroy(again);
    free(text);
    broker_destroy(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rabbitmq_exports_is_exported_again),
        cmocka_unit_test(one_virtual_hosts_export_goes_into_another),
        cmocka_unit_test(importing_it_again_changes_nothing),
        cmocka_unit_test(an_export_does_not_depend_on_the_order_of_things),
        cmocka_unit_test(sections_and_keys_come_in_rabbitmqs_order),
        cmocka_unit_test(descriptions_of_virtual_hosts_are_kept),
        cmocka_unit_test(hashes_are_taken_as_they_are),
        cmocka_unit_test(very_old_documents_hash_by_md5),
        cmocka_unit_test(hashes_that_are_none_are_refused),
        cmocka_unit_test(plain_passwords_are_hashed),
        cmocka_unit_test(plain_passwords_have_to_be_good_enough),
        cmocka_unit_test(a_password_that_a_user_has_already_keeps_its_hash),
        cmocka_unit_test(what_is_missing_is_as_people_expect),
        cmocka_unit_test(an_empty_document_asks_for_nothing),
        cmocka_unit_test(things_come_in_the_order_in_which_they_can_be_made),
        cmocka_unit_test(queues_whose_names_a_broker_made_up_are_made),
        cmocka_unit_test(the_brokers_own_exchanges_are_left_alone),
        cmocka_unit_test(into_one_virtual_host_no_others_are_imported),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(what_the_broker_cannot_do_is_named_and_leaves_nothing),
        cmocka_unit_test(what_is_there_otherwise_is_skipped),
        cmocka_unit_test(no_member_can_break_it),
        cmocka_unit_test(a_document_that_ends_early_is_refused),
        cmocka_unit_test(json_that_is_none_is_refused_with_its_place),
        cmocka_unit_test(a_document_that_is_too_large_is_not_even_read),
        cmocka_unit_test(exclusive_queues_are_left_out_and_others_are_there_once),
        cmocka_unit_test(a_writer_may_be_dropped_in_the_middle),
        cmocka_unit_test(names_that_only_bytes_tell_apart_are_all_there),
    };
    return unit_main("definitions", tests, argc, argv);
}
