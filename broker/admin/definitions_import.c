#include "broker/admin/definitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pattern.h"
#include "base/str.h"
#include "broker/admin/definitions_read.h"
#include "broker/admin/json.h"
#include "broker/admin/policy.h"
#include "broker/net/password.h"
#include "broker/port/spec.h"

static json_t *string_of(const char *text)
{
    return json_of_text(bytes_of_string(text));
}

/* ---- Users. */

/* From before RabbitMQ 3.6 nothing is said about the algorithm, because there was but one. */
static bool hashes_by_md5(const json_t *document)
{
    const char *version = json_string_value(json_object_get(document, "rabbit_version"));
    unsigned major, minor;
    if (version == NULL || sscanf(version, "%2u.%2u", &major, &minor) != 2) // NOLINT(cert-err34-c): two digits
        return false;
    return major < 3 || (major == 3 && minor < 6);
}

/* A password in plain text becomes a hash: the one that the user has, if it fits. */
static void hash_password(struct reader *r, json_t *user, struct bytes name, struct bytes password)
{
    const struct definitions_options *o = r->options;
    char *algorithm = NULL, *hash = NULL, *why = credential_refuse(o->credential, password);
    if (why != NULL) {
        reader_fail(r, "%s", why);
        free(why);
        return;
    }
    if (o->keep == NULL || !o->keep(o->arg, name, password, &algorithm, &hash)) {
        algorithm =
            str_copy(o->hashing_algorithm.len > 0 ? o->hashing_algorithm : BYTES("rabbit_password_hashing_sha256"));
        hash = password.len == 0 ? str_copy(BYTES("")) : password_make_hash(bytes_of_string(algorithm), password);
    }
    if (hash == NULL)
        reader_fail(r, "\"password\" has more than %d bytes", PASSWORD_BYTES_MAX);
    else
        json_set(user, "password_hash", string_of(hash));
    json_set(user, "hashing_algorithm", string_of(algorithm));
    free(algorithm);
    free(hash);
}

static void read_hash(struct reader *r, json_t *user, const json_t *hash)
{
    const json_t *said = reader_member(r, "hashing_algorithm");
    struct bytes algorithm =
        r->hashes_by_md5 ? BYTES("rabbit_password_hashing_md5") : BYTES("rabbit_password_hashing_sha256");
    if (said != NULL && !json_is_string(said))
        reader_fail(r, "\"hashing_algorithm\" must be text");
    if (json_string_length(said) > 0)
        algorithm = json_text(said);
    if (hash != NULL && !json_is_string(hash))
        reader_fail(r, "\"password_hash\" must be text");
    else if (!password_is_hash(algorithm, BYTES("")))
        reader_fail(r, "the hashing algorithm '%.*s' is not known", BYTES_ARG(algorithm));
    else if (!password_is_hash(algorithm, json_text(hash)))
        reader_fail(r, "\"password_hash\" is not a hash of %.*s", BYTES_ARG(algorithm));
    json_set(user, "password_hash", json_of_text(json_text(hash)));
    json_set(user, "hashing_algorithm", json_of_text(algorithm));
}

static void read_limits(struct reader *r, json_t *limits)
{
    char *why = limits != NULL ? policy_check_limits(limits) : NULL;
    if (why != NULL)
        reader_fail(r, "%s", why);
    free(why);
}

static void read_user(struct reader *r)
{
    struct bytes name = reader_name(r, "name");
    json_t *user = json_object(), *hash = reader_member(r, "password_hash"), *password = reader_member(r, "password");
    json_t *limits = reader_object(r, "limits");
    read_limits(r, limits);
    if (hash == NULL && password != NULL && !json_is_string(password))
        reader_fail(r, "\"password\" must be text");
    else if (hash == NULL && password != NULL)
        hash_password(r, user, name, json_text(password));
    else
        read_hash(r, user, hash);
    json_wipe(password); /* the document keeps it for a while yet */
    json_set(user, "tags", reader_words(r, "tags"));
    json_set(user, "limits", limits != NULL ? limits : json_object());
    reader_put(r, DEFINE_USER, &(struct spec){.name = name}, user);
}

static void check_pattern(struct reader *r, const char *key)
{
    const json_t *value = json_object_get(r->object, key);
    char *why = NULL;
    if (!json_is_string(value)) {
        reader_fail(r, value == NULL ? "\"%s\" is missing" : "\"%s\" must be text", key);
        return;
    }
    struct pattern *p = pattern_create(json_text(value), &why);
    if (p == NULL)
        reader_fail(r, "\"%s\": %s", key, why);
    pattern_destroy(p);
    free(why);
}

/* The patterns of those names, out of the object. */
static json_t *read_patterns(struct reader *r, const char *const *keys)
{
    json_t *patterns = json_object();
    for (; *keys != NULL; keys++) {
        check_pattern(r, *keys);
        json_set(patterns, *keys, json_of_text(json_text_in(r->object, *keys)));
    }
    return patterns;
}

static void read_permission(struct reader *r)
{
    static const char *const rights[] = {"configure", "write", "read", NULL};
    const struct spec spec = {.vhost = reader_vhost(r), .name = reader_name(r, "user")};
    reader_put(r, DEFINE_PERMISSION, &spec, read_patterns(r, rights));
}

static void read_topic_permission(struct reader *r)
{
    static const char *const rights[] = {"write", "read", NULL};
    const struct spec spec = {
        .vhost = reader_vhost(r), .name = reader_name(r, "user"), .key = reader_text(r, "exchange")};
    reader_put(r, DEFINE_TOPIC_PERMISSION, &spec, read_patterns(r, rights));
}

/* ---- Virtual hosts. */

/* A parameter's value, which is taken. */
static void put_parameter(struct reader *r, struct bytes vhost, struct bytes component, struct bytes name,
                          json_t *value)
{
    const struct spec spec = {.vhost = vhost, .type = component, .name = name};
    json_t *arguments = json_object();
    json_set(arguments, "value", value);
    reader_put(r, DEFINE_PARAMETER, &spec, arguments);
}

/* From its own member, or from "metadata", as newer exports say it. */
static json_t *described(struct reader *r, const json_t *metadata, const char *key)
{
    json_t *value = reader_member(r, key);
    if (value == NULL)
        value = json_object_get(metadata, key);
    return json_is_null(value) ? NULL : value;
}

static void put_text(struct reader *r, json_t *to, const json_t *metadata, const char *key)
{
    json_t *value = described(r, metadata, key);
    if (value == NULL)
        return;
    if (json_is_string(value))
        json_set(to, key, json_incref(value));
    else
        reader_fail(r, "\"%s\" must be text", key);
}

static void read_vhost(struct reader *r)
{
    struct bytes name = reader_name(r, "name");
    json_t *metadata = reader_object(r, "metadata"), *vhost = json_object(), *limits = reader_member(r, "limits");
    put_text(r, vhost, metadata, "description");
    put_text(r, vhost, metadata, "default_queue_type");
    if (bytes_equal(json_text_in(vhost, "default_queue_type"), BYTES("undefined")))
        json_object_del(vhost, "default_queue_type"); /* so says RabbitMQ 3.13 of those that have none */
    if (reader_member(r, "tags") != NULL) {
        json_set(vhost, "tags", reader_words(r, "tags"));
    } else if (described(r, metadata, "tags") != NULL) {
        json_t *object = r->object;
        r->object = metadata;
        json_set(vhost, "tags", reader_words(r, "tags"));
        r->object = object;
    }
    reader_put(r, DEFINE_VHOST, &(struct spec){.name = name}, vhost);
    json_decref(metadata);
    if (limits == NULL || (json_is_array(limits) && json_array_size(limits) == 0))
        return;
    read_limits(r, limits);
    put_parameter(r, name, BYTES("vhost-limits"), BYTES("limits"), json_incref(limits));
}

/* ---- Parameters and policies. */

/* Takes the value; says what is wrong with it as a policy. */
static void put_policy(struct reader *r, struct bytes vhost, struct bytes component, struct bytes name, json_t *value)
{
    char *why = policy_check(value, bytes_equal(component, BYTES("operator_policy")));
    if (why != NULL)
        reader_fail(r, "%s", why);
    free(why);
    put_parameter(r, vhost, component, name, value);
}

/* What makes a policy, out of one, as a new object in which nothing is missing; always in the same order, so that the
 * same policy is the same value. */
static json_t *policy_of(const json_t *from)
{
    static const char *const keys[] = {"pattern", "definition", "priority", "apply-to", NULL};
    json_t *policy = json_object();
    for (const char *const *k = keys; *k != NULL; k++) {
        json_t *value = json_object_get(from, *k);
        if (value != NULL && !json_is_null(value))
            json_set(policy, *k, json_incref(value));
        else if (strcmp(*k, "apply-to") == 0)
            json_set(policy, *k, json_string("all"));
        else if (strcmp(*k, "priority") == 0)
            json_set(policy, *k, json_integer(0));
    }
    return policy;
}

static void read_policy(struct reader *r)
{
    put_policy(r, reader_vhost(r), BYTES("policy"), reader_name(r, "name"), policy_of(r->object));
}

static void read_parameter(struct reader *r)
{
    json_t *value = json_object_get(r->object, "value");
    struct bytes vhost = reader_vhost(r), component = reader_name(r, "component"), name = reader_name(r, "name");
    if (value == NULL) {
        reader_fail(r, "\"value\" is missing");
        return;
    }
    if (bytes_equal(component, BYTES("policy"))) {
        put_policy(r, vhost, component, name, policy_of(value));
    } else if (bytes_equal(component, BYTES("operator_policy"))) {
        put_policy(r, vhost, component, name, json_incref(value));
    } else if (bytes_equal(component, BYTES("vhost-limits")) && json_is_array(value) && json_array_size(value) == 0) {
        put_parameter(r, vhost, component, name, json_object()); /* as RabbitMQ exports limits that were taken away */
    } else {
        if (bytes_equal(component, BYTES("vhost-limits")))
            read_limits(r, value);
        put_parameter(r, vhost, component, name, json_incref(value));
    }
}

static void read_global_parameter(struct reader *r)
{
    json_t *value = json_object_get(r->object, "value");
    struct bytes name = reader_name(r, "name");
    if (value == NULL)
        reader_fail(r, "\"value\" is missing");
    else if (!bytes_equal(name, BYTES(DEFINITIONS_HASH_PARAMETER)))
        put_parameter(r, (struct bytes){0}, (struct bytes){0}, name, json_incref(value));
}

/* ---- Exchanges, queues, bindings. */

/* The object's arguments, so few as an object may have; NULL: they are not right. */
static json_t *read_arguments(struct reader *r)
{
    json_t *arguments = reader_object(r, "arguments");
    if (json_object_size(arguments) > SPEC_ARGUMENTS_MAX)
        reader_fail(r, "more than %d arguments", SPEC_ARGUMENTS_MAX);
    return arguments;
}

static void read_exchange(struct reader *r)
{
    struct spec spec = {.vhost = reader_vhost(r), .name = reader_text(r, "name")};
    if (r->error != NULL)
        return;
    if (spec.name.len == 0 || bytes_start_with(spec.name, BYTES("amq."))) {
        reader_warn(r, "the broker's own exchange is left as it is");
        return;
    }
    spec.type = reader_name(r, "type");
    spec.durable = reader_flag(r, "durable", true);
    spec.auto_delete = reader_flag(r, "auto_delete", false);
    spec.internal = reader_flag(r, "internal", false);
    json_t *arguments = read_arguments(r);
    const json_t *alternate = json_object_get(arguments, "alternate-exchange");
    if (alternate != NULL && !json_is_string(alternate))
        reader_fail(r, "\"alternate-exchange\" must be text");
    reader_put(r, DEFINE_EXCHANGE, &spec, arguments);
}

static void read_queue(struct reader *r)
{
    struct spec spec = {.vhost = reader_vhost(r), .name = reader_name(r, "name")};
    const json_t *type = reader_member(r, "type");
    spec.durable = reader_flag(r, "durable", true);
    spec.auto_delete = reader_flag(r, "auto_delete", false);
    spec.server_named = true; /* a broker made up what begins with amq. */
    json_t *arguments = read_arguments(r);
    if (type != NULL && !json_is_string(type))
        reader_fail(r, "\"type\" must be text");
    if (arguments != NULL && json_is_string(type) && !bytes_equal(json_text(type), BYTES("classic")) &&
        json_object_get(arguments, "x-queue-type") == NULL) {
        json_t *with_type = json_copy(arguments);
        json_set(with_type, "x-queue-type", json_of_text(json_text(type)));
        json_decref(arguments);
        arguments = with_type;
    }
    reader_put(r, DEFINE_QUEUE, &spec, arguments);
}

static void read_binding(struct reader *r)
{
    struct spec spec = {.vhost = reader_vhost(r), .source = reader_text(r, "source")};
    struct bytes type = reader_text(r, "destination_type");
    spec.name = reader_text(r, "destination");
    spec.key = reader_text(r, "routing_key");
    spec.to_exchange = bytes_equal(type, BYTES("exchange"));
    if (!spec.to_exchange && !bytes_equal(type, BYTES("queue")))
        reader_fail(r, "\"destination_type\" must be queue or exchange");
    json_t *arguments = read_arguments(r);
    if (r->error == NULL && (spec.source.len == 0 || spec.name.len == 0)) {
        reader_warn(r, "a binding of the default exchange is left out");
        json_decref(arguments);
        return;
    }
    reader_put(r, DEFINE_BINDING, &spec, arguments);
}

/* ---- The document. */

/* In the order in which they are made: what is named is there then. */
static const struct section {
    const char *name;
    void (*read)(struct reader *r);
    bool is_of_vhost; /* means something in the export of one */
} sections[] = {
    {"vhosts", read_vhost, false}, /* before users, unlike in RabbitMQ: everything looks for them, from the front */
    {"users", read_user, false},
    {"permissions", read_permission, false},
    {"topic_permissions", read_topic_permission, false},
    {"exchanges", read_exchange, true},
    {"global_parameters", read_global_parameter, false},
    {"policies", read_policy, true},
    {"parameters", read_parameter, true},
    {"queues", read_queue, true},
    {"bindings", read_binding, true},
};

static void read_section(struct reader *r, const json_t *document, const struct section *s)
{
    json_t *objects = json_object_get(document, s->name);
    r->section = s->name;
    if (objects == NULL || json_is_null(objects))
        return;
    if (!json_is_array(objects)) {
        r->error = str_format("\"%s\" must be an array", s->name);
        return;
    }
    size_t n = json_array_size(objects);
    if (r->vhost != NULL && !s->is_of_vhost && n > 0) {
        r->object = NULL;
        r->index = 0;
        reader_warn(r, "not imported into one virtual host");
        return;
    }
    for (r->index = 0; r->index < n && r->error == NULL; r->index++) {
        r->object = json_array_get(objects, r->index);
        if (!json_is_object(r->object))
            reader_fail(r, "must be an object");
        else
            s->read(r);
    }
}

static bool is_blank(struct bytes text)
{
    const struct bytes spaces = BYTES(" \t\r\n");
    while (text.len > 0 && memchr(spaces.at, text.at[text.len - 1], spaces.len) != NULL)
        text.len--;
    return text.len == 0;
}

static struct changes *read_document(const json_t *document, const struct bytes *vhost,
                                     const struct definitions_options *o, char **error)
{
    static const struct definitions_options none = {0};
    struct reader r = {.options = o != NULL ? o : &none, .vhost = vhost};
    r.out = changes_create();
    r.hashes_by_md5 = hashes_by_md5(document);
    if (!json_is_object(document))
        r.error = str_copy(BYTES("failed_to_parse_json: not an object"));
    for (size_t i = 0; i < sizeof sections / sizeof sections[0] && r.error == NULL; i++)
        read_section(&r, document, &sections[i]);
    if (r.error == NULL)
        return r.out;
    changes_destroy(r.out);
    *error = r.error;
    return NULL;
}

struct changes *definitions_read(struct bytes json, const struct bytes *vhost, const struct definitions_options *o,
                                 char **error)
{
    size_t bytes_max = o != NULL && o->bytes_max != 0 ? o->bytes_max : DEFINITIONS_BYTES_MAX;
    if (json.len > bytes_max) {
        *error = str_format("larger than %zu bytes", bytes_max);
        return NULL;
    }
    char *wrong = NULL;
    json_t *document = is_blank(json) ? json_object() : json_read(json, &wrong);
    struct changes *c = document != NULL ? read_document(document, vhost, o, error) : NULL;
    if (document == NULL)
        *error = str_format("failed_to_parse_json: %s", wrong);
    free(wrong);
    json_decref(document);
    return c;
}
