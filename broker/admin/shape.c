#include "broker/admin/shape.h"

#include <string.h>

#include "base/check.h"
#include "broker/admin/json.h"
#include "broker/admin/shape_parts.h"

/* ---- What shapes share. */

json_t *shape_complete(const struct request *r, json_t *row, enum admin_template what)
{
    CHECK(json_object_update_missing(row, r->admin->templates[what]) == 0);
    return row;
}

void shape_set_node(const struct request *r, json_t *row)
{
    json_set(row, "node", json_string(r->admin->config.node));
}

json_t *shape_take(json_t *row, const char *key)
{
    json_t *value = json_incref(json_object_get(row, key));
    json_object_del(row, key);
    return value;
}

json_t *shape_or_null(json_t *value)
{
    return value != NULL ? value : json_null();
}

json_t *shape_pick(json_t *row, const char *const *names)
{
    json_t *to = json_object();
    for (; *names != NULL; names++)
        if (json_object_get(row, *names) != NULL)
            json_set(to, *names, json_incref(json_object_get(row, *names)));
    json_decref(row);
    return to;
}

void shape_set_number(json_t *o, const char *key, uint64_t n)
{
    json_set(o, key, json_integer((json_int_t)n));
}

void shape_set_zeros(json_t *o, const char *const *names)
{
    for (; *names != NULL; names++)
        json_set(o, *names, json_integer(0));
}

/* ---- Users. */

json_t *shape_user(struct request *r, json_t *row)
{
    (void)r;
    if (json_object_get(row, "password_hash") == NULL)
        json_set(row, "password_hash", json_string(""));
    if (json_text_in(row, "hashing_algorithm").len == 0)
        json_set(row, "hashing_algorithm", json_string("rabbit_password_hashing_sha256"));
    if (json_object_get(row, "tags") == NULL)
        json_set(row, "tags", json_array());
    if (json_object_get(row, "limits") == NULL)
        json_set(row, "limits", json_object());
    return row;
}

json_t *shape_as_is(struct request *r, json_t *row)
{
    (void)r;
    return row;
}

/* ---- Parameters. */

static json_t *policy_of(json_t *row, struct bytes component)
{
    if (!bytes_equal(json_text_in(row, "component"), component)) {
        json_decref(row);
        return NULL;
    }
    json_t *value = shape_take(row, "value"), *policy = json_object();
    json_set(policy, "vhost", json_incref(json_object_get(row, "vhost")));
    json_set(policy, "name", json_incref(json_object_get(row, "name")));
    if (value != NULL)
        json_object_update_missing(policy, value);
    json_decref(value);
    json_decref(row);
    return policy;
}

json_t *shape_policy(struct request *r, json_t *row)
{
    (void)r;
    return policy_of(row, BYTES("policy"));
}

json_t *shape_operator_policy(struct request *r, json_t *row)
{
    (void)r;
    return policy_of(row, BYTES("operator_policy"));
}

json_t *shape_parameter(struct request *r, json_t *row)
{
    (void)r;
    struct bytes component = json_text_in(row, "component");
    if (component.len > 0 && !bytes_equal(component, BYTES("policy")))
        return row;
    json_decref(row);
    return NULL;
}

json_t *shape_global_parameter(struct request *r, json_t *row)
{
    (void)r;
    if (json_text_in(row, "component").len > 0 || json_text_in(row, "vhost").len > 0) {
        json_decref(row);
        return NULL;
    }
    json_object_del(row, "component");
    json_object_del(row, "vhost");
    return row;
}
