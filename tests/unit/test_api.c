#include "broker/admin/api.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admin/json.h"
#include "broker/admin/shape.h"
#include "tests/unit/unit.h"

/* Cuts a path, for which a pattern in braces is as good as a name. */
static unsigned cut(const char *path, struct bytes *segments)
{
    unsigned n = 0;
    for (;;) {
        size_t len = strcspn(path, "/");
        segments[n++] = bytes_of(path, len);
        if (path[len] == '\0')
            return n;
        path += len + 1;
    }
}

static const struct route *find(enum evhttp_cmd_type method, const char *path, struct bytes *params, unsigned *n_params,
                                unsigned *allowed)
{
    struct bytes segments[REQUEST_SEGMENTS_MAX];
    return api_find(method, segments, cut(path, segments), params, n_params, allowed);
}

TEST(every_route_has_a_tag_and_a_handler_and_is_there_once)
{
    for (size_t i = 0; i < api_routes_count; i++) {
        const struct route *r = &api_routes[i];
        bool is_open = strcmp(r->path, "auth") == 0; /* how one logs in is told before one has */
        assert_true((is_open ? r->tag == TAG_NONE : r->tag > TAG_NONE) && r->tag <= TAG_ADMINISTRATOR);
        assert_non_null(r->handle);
        assert_true(r->path[0] != '/' && r->path[strlen(r->path) - 1] != '/');
        for (size_t j = 0; j < i; j++)
            assert_false(r->method == api_routes[j].method && strcmp(r->path, api_routes[j].path) == 0);
    }
}

TEST(no_route_hides_another)
{
    for (size_t i = 0; i < api_routes_count; i++) {
        struct bytes params[REQUEST_SEGMENTS_MAX];
        unsigned n, allowed;
        const struct route *r = find(api_routes[i].method, api_routes[i].path, params, &n, &allowed);
        if (r != &api_routes[i])
            fail_msg("%s is hidden", api_routes[i].path);
        assert_true((allowed & (unsigned)r->method) != 0);
    }
}

/* What changes anything but queues, exchanges and bindings, which have rights of their own, is not for everybody. */
TEST(who_only_manages_changes_nothing_of_others)
{
    /* The model judges what is in a virtual host; a connection is closed by its own user (api_clients.c). */
    static const char *const open[] = {"queues/", "exchanges/", "bindings/", "connections/{name}"};
    for (size_t i = 0; i < api_routes_count; i++) {
        const struct route *r = &api_routes[i];
        bool is_open = r->method == EVHTTP_REQ_GET;
        for (size_t j = 0; j < sizeof open / sizeof open[0]; j++)
            is_open = is_open || strncmp(r->path, open[j], strlen(open[j])) == 0;
        if (!is_open && r->tag == TAG_MANAGEMENT)
            fail_msg("%s is open to all who manage", r->path);
        if (strncmp(r->path, "users", sizeof "users" - 1) == 0 || strncmp(r->path, "definitions", 11) == 0)
            assert_int_equal(r->tag, TAG_ADMINISTRATOR);
    }
}

TEST(what_braces_stand_for_comes_in_order)
{
    struct bytes params[REQUEST_SEGMENTS_MAX];
    unsigned n, allowed;
    const struct route *r = find(EVHTTP_REQ_DELETE, "bindings/v/e/x/q/y/k", params, &n, &allowed);
    assert_string_equal(r->path, "bindings/{v}/e/{x}/q/{q}/{key}");
    assert_int_equal(n, 4);
    assert_true(bytes_equal(params[0], BYTES("v")) && bytes_equal(params[1], BYTES("x")));
    assert_true(bytes_equal(params[2], BYTES("y")) && bytes_equal(params[3], BYTES("k")));
}

TEST(an_empty_segment_is_the_default_virtual_host_and_nothing_else)
{
    struct bytes params[REQUEST_SEGMENTS_MAX];
    unsigned n, allowed;
    assert_non_null(find(EVHTTP_REQ_GET, "queues//q", params, &n, &allowed));
    assert_true(bytes_equal(params[0], BYTES("/")) && bytes_equal(params[1], BYTES("q")));
    assert_null(find(EVHTTP_REQ_GET, "queues/v//bindings", params, &n, &allowed));
    assert_int_equal(allowed, 0);
    assert_null(find(EVHTTP_REQ_GET, "users//permissions", params, &n, &allowed));
}

TEST(a_wrong_method_is_told_which_are_right)
{
    enum { ROOM = 64 };
    struct bytes params[REQUEST_SEGMENTS_MAX];
    unsigned n, allowed;
    char text[ROOM];
    assert_null(find(EVHTTP_REQ_POST, "users/u", params, &n, &allowed));
    api_print_methods(allowed, text, sizeof text);
    assert_string_equal(text, "HEAD, GET, PUT, DELETE, OPTIONS");
    assert_null(find(EVHTTP_REQ_GET, "users/bulk-delete/x", params, &n, &allowed));
    assert_int_equal(allowed, 0);
    assert_null(find(EVHTTP_REQ_GET, "millrace/stop", params, &n, &allowed));
    api_print_methods(allowed, text, sizeof text);
    assert_string_equal(text, "POST, OPTIONS");
}

static void expect_key(const char *key, const char *arguments, const char *expected)
{
    char *error, *is;
    json_t *table = json_read(bytes_of_string(arguments), &error);
    is = shape_properties_key(bytes_of_string(key), table);
    assert_string_equal(is, expected);
    free(is);
    json_decref(table);
}

TEST(bindings_have_the_keys_of_rabbitmq)
{
    expect_key("", "{}", "~");
    expect_key("a.*.b", "{}", "a.%2A.b");
    expect_key("r/k a#~\xc3\xbc", "{}", "r%2Fk+a%23%7E%C3%BC");
    /* The hash is ours, and the same whenever it is asked for. */
    char *one = NULL, *two = NULL, *error;
    json_t *a = json_read(BYTES("{\"a\":1,\"b\":\"x\"}"), &error),
           *b = json_read(BYTES("{\"b\":\"x\",\"a\":1}"), &error);
    one = shape_properties_key(BYTES("rk"), a);
    two = shape_properties_key(BYTES("rk"), b);
    assert_string_equal(one, two);
    assert_int_equal(strncmp(one, "rk~", 3), 0);
    assert_int_equal(strspn(one + 3, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), 8);
    free(two);
    json_set(b, "a", json_integer(2));
    two = shape_properties_key(BYTES("rk"), b);
    assert_string_not_equal(one, two);
    free(one);
    free(two);
    json_decref(a);
    json_decref(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_has_a_tag_and_a_handler_and_is_there_once),
        cmocka_unit_test(no_route_hides_another),
        cmocka_unit_test(who_only_manages_changes_nothing_of_others),
        cmocka_unit_test(what_braces_stand_for_comes_in_order),
        cmocka_unit_test(an_empty_segment_is_the_default_virtual_host_and_nothing_else),
        cmocka_unit_test(a_wrong_method_is_told_which_are_right),
        cmocka_unit_test(bindings_have_the_keys_of_rabbitmq),
    };
    return unit_main("admin/api", tests, argc, argv);
}
