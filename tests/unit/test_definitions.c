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
#include "tests/unit/document.h"
#include "tests/unit/unit.h"

/* ---- Helpers. */

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

/* One object alone in its section. */
static void expect_object_refused(const char *section, const char *object, const char *part)
{
    char *text = str_format("{\"%s\":[%s]}", section, object);
    document_refused(text, part);
    free(text);
}

static void expect_impossible(const char *text, const char *part)
{
    struct broker *b = census_broker();
    char *why, *before = census_export_text(b, NULL);
    struct changes *c = census_alter(b, document_read(text), &why);
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

/* ---- There and back. */

TEST(what_rabbitmq_exports_is_exported_again)
{
    struct bytes text = load("full.json");
    char *error = NULL;
    struct broker *b = census_broker();
    struct changes *c = document_make(b, document_read_for(text, NULL, NULL));
    json_t *from = json_read(text, &error), *to = census_export(b, NULL);
    assert_int_equal(document_count(c, CHANGE_MADE), c->n);
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
        changes_destroy(document_make(b, document_read("{\"vhosts\":[{\"name\":\"orders\"},{\"name\":\"other\"}]}")));
        changes_destroy(document_make(b, document_read_for(text, i == 0 ? &name : &other, NULL)));
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
    changes_destroy(document_make(b, document_read_for(text, NULL, NULL)));
    struct changes *again = document_make(b, document_read_for(text, NULL, NULL));
    assert_true(again->n > 100);
    assert_int_equal(document_count(again, CHANGE_NOTHING), again->n);
    changes_destroy(again);
    char *mine = census_export_text(b, NULL);
    struct changes *ours = document_make(b, document_read(mine));
    assert_int_equal(document_count(ours, CHANGE_NOTHING), ours->n);
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
    changes_destroy(document_make(a, document_read_for(text, NULL, NULL)));
    changes_destroy(document_make(b, document_read(turned)));
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
    changes_destroy(document_make(b, document_read_for(text, NULL, NULL)));
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
    struct changes *c = document_make(
        b, document_read(
               "{\"vhosts\":[{\"name\":\"a\",\"description\":\"of a\",\"tags\":\"x, y,\",\"default_queue_type\":"
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

/* ---- Users. */

TEST(hashes_are_taken_as_they_are)
{
    struct changes *c = document_read(
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
    struct changes *c = document_read(old);
    expect_text(c, 0, "hashing_algorithm", "rabbit_password_hashing_md5");
    document_refused(new, "users[0] ('a'): \"password_hash\" is not a hash of rabbit_password_hashing_sha256");
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
    struct changes *c = document_read_for(
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
    document_refused_for(BYTES("{\"users\":[{\"name\":\"a\",\"password\":\"1234567\"}]}"), &o,
                         "users[0] ('a'): minimum required password length: 8");
    changes_destroy(document_read_for(BYTES("{\"users\":[{\"name\":\"a\",\"password\":\"12345678\"}]}"), NULL, &o));
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
    struct changes *c =
        document_read_for(BYTES("{\"users\":[{\"name\":\"known\",\"password\":\"right\"},{\"name\":\"known\","
                                "\"password\":\"new\"}]}"),
                          NULL, &o);
    expect_text(c, 0, "password_hash", "kI3GCqW5JLMJa4iX1lo7X4D6XbY=");
    expect_text(c, 0, "hashing_algorithm", "rabbit_password_hashing_md5");
    expect_text(c, 1, "hashing_algorithm", "rabbit_password_hashing_sha256");
    changes_destroy(c);
}

/* ---- What is not said, and what means nothing here. */

TEST(what_is_missing_is_as_people_expect)
{
    struct changes *c =
        document_read("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\"},{\"name\":\"r\",\"vhost\":\"v\",\"durable\":"
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
        struct changes *c = document_read(texts[i]);
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
    struct changes *c = document_read(document_small);
    assert_int_equal(c->n, sizeof order / sizeof order[0]);
    for (size_t i = 0; i < c->n; i++)
        assert_int_equal(c->at[i].what, order[i]);
    assert_int_equal(c->at[5].spec->vhost.len, 0);
    struct broker *b = census_broker();
    c = document_make(b, c);
    assert_int_equal(document_count(c, CHANGE_MADE), c->n);
    changes_destroy(c);
    broker_destroy(b);
}

TEST(queues_whose_names_a_broker_made_up_are_made)
{
    struct broker *b = census_broker();
    struct changes *c =
        document_make(b, document_read("{\"vhosts\":[{\"name\":\"v\"}],\"queues\":[{\"name\":\"amq.gen-x\",\"vhost\":"
                                       "\"v\"}]}"));
    assert_int_equal(document_count(c, CHANGE_MADE), 2);
    changes_destroy(c);
    broker_destroy(b);
}

TEST(the_brokers_own_exchanges_are_left_alone)
{
    const struct definitions_options o = {.warn = on_warning};
    warned.n = 0;
    struct changes *c =
        document_read_for(BYTES("{\"exchanges\":[{\"name\":\"\",\"vhost\":\"v\",\"type\":\"direct\"},{\"name\":"
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
    struct changes *c = document_read_for(bytes_of_string(document_small), &vhost, &o);
    assert_int_equal(c->n, 5);
    assert_int_equal(warned.n, 5); /* users, vhosts, permissions, topic_permissions, global_parameters */
    for (size_t i = 0; i < c->n; i++)
        assert_true(bytes_equal(c->at[i].spec->vhost, vhost));
    changes_destroy(c);
    expect_object_refused("queues", "{\"name\":\"q\"}",
                          "queues[0] ('q'): \"vhost\" is missing; if this is the export of");
}

/* ---- What is wrong. */

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
    document_refused("{\"queues\":5}", "\"queues\" must be an array");
    document_refused("{\"queues\":{}}", "\"queues\" must be an array");
    document_refused("[]", "not an object");
    document_refused("5", "not an object");
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
    changes_destroy(document_make(b, document_read(document_small)));
    struct changes *c = document_make(
        b, document_read(
               "{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":false}],\"exchanges\":[{\"name\":\"x\","
               "\"vhost\":\"v\",\"type\":\"topic\"}],\"bindings\":[{\"source\":\"x\",\"vhost\":\"v\",\"destination\":"
               "\"nosuch\",\"destination_type\":\"queue\",\"routing_key\":\"\"}]}"));
    assert_int_equal(document_count(c, CHANGE_SKIPPED), 3);
    definitions_log_plan(c);
    definitions_log_outcome(c);
    changes_destroy(c);
    json_t *to = census_export(b, NULL);
    assert_int_equal(json_array_size(json_object_get(to, "queues")), 1);
    assert_int_equal(json_array_size(json_object_get(to, "bindings")), 1);
    json_decref(to);
    broker_destroy(b);
}

/* What RabbitMQ has by plugins: an export of such a broker comes in, and out again. */
TEST(exchanges_of_plugins_are_imported)
{
    struct broker *b = census_broker();
    struct changes *c = document_make(
        b,
        document_read("{\"vhosts\":[{\"name\":\"v\"}],\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true}],"
                      "\"exchanges\":["
                      "{\"name\":\"hash\",\"vhost\":\"v\",\"type\":\"x-consistent-hash\",\"durable\":true,"
                      "\"arguments\":{\"hash-header\":\"user\"}},"
                      "{\"name\":\"modulus\",\"vhost\":\"v\",\"type\":\"x-modulus-hash\",\"durable\":true},"
                      "{\"name\":\"random\",\"vhost\":\"v\",\"type\":\"x-random\",\"durable\":true},"
                      "{\"name\":\"local\",\"vhost\":\"v\",\"type\":\"x-local-random\",\"durable\":true},"
                      "{\"name\":\"recent\",\"vhost\":\"v\",\"type\":\"x-recent-history\",\"durable\":true,"
                      "\"arguments\":{\"x-recent-history-length\":5}}],"
                      "\"bindings\":[{\"source\":\"hash\",\"vhost\":\"v\",\"destination\":\"q\",\"destination_type\":"
                      "\"queue\",\"routing_key\":\"10\",\"arguments\":{}}]}"));
    assert_int_equal(document_count(c, CHANGE_MADE), c->n);
    changes_destroy(c);
    json_t *to = census_export(b, NULL);
    assert_int_equal(json_array_size(json_object_get(to, "exchanges")), 5);
    assert_int_equal(json_array_size(json_object_get(to, "bindings")), 1);
    json_decref(to);
    broker_destroy(b);
    expect_impossible("{\"vhosts\":[{\"name\":\"v\"}],\"exchanges\":[{\"name\":\"x\",\"vhost\":\"v\",\"type\":"
                      "\"x-consistent-hash\",\"arguments\":{\"hash-property\":\"foo\"}}]}",
                      "exchange 'x' in vhost 'v': Unsupported property: foo");
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
        cmocka_unit_test(exchanges_of_plugins_are_imported),
    };
    return unit_main("definitions", tests, argc, argv);
}
