/* Users, their passwords and tags. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/ctl.h"
#include "broker/ctl/handlers.h"
#include "broker/ctl/password.h"

/* The body that sets a password; an empty one is none at all. */
static json_t *password_body(struct ctl *c, const char *password)
{
    const char *key = password[0] == '\0' || options_has(c->options, OPTION_HASHED) ? "password_hash" : "password";
    return json_pack("{s:s}", key, password);
}

int users_add(struct ctl *c)
{
    struct answer a;
    int status = 0;
    char *password = password_read(c, 1, &status);
    if (password == NULL)
        return status;
    status = ctl_call(c, "GET", path_of("users", c->args[0]), NULL, &a);
    if (status == 0 && a.status == 200) {
        status = ctl_fail(c, EX_SOFTWARE, "User \"%s\" already exists", c->args[0]);
    } else if (status == 0) {
        json_t *body = password_body(c, password);
        json_object_set_new(body, "tags", json_string(""));
        status = ctl_do(c, "PUT", path_of("users", c->args[0]), body);
    }
    answer_fini(&a);
    password_free(password);
    if (status == 0 && !c->is_quiet)
        ctl_tell(c,
                 "Done. Don't forget to grant the user permissions to some virtual hosts! See '%s help "
                 "set_permissions' to learn more.",
                 c->tool);
    return ctl_done(c, status);
}

int users_delete(struct ctl *c)
{
    struct answer a;
    int status = ctl_call(c, "DELETE", path_of("users", c->args[0]), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_NOUSER, "User \"%s\" does not exist", c->args[0]);
    else if (status == 0)
        status = ctl_refused(c, &a);
    answer_fini(&a);
    return ctl_done(c, status);
}

/* Changes a user: what `change` does not say stays as it is.  Takes change. */
static int update(struct ctl *c, json_t *change)
{
    static const char *const kept[] = {"tags", "password_hash", "hashing_algorithm"};
    struct answer a;
    int status = ctl_call(c, "GET", path_of("users", c->args[0]), NULL, &a);
    if (status == 0 && a.status == 404)
        status = ctl_fail(c, EX_NOUSER, "User \"%s\" does not exist", c->args[0]);
    else if (status == 0)
        status = ctl_refused(c, &a);
    bool has_password = json_object_get(change, "password") || json_object_get(change, "password_hash");
    for (size_t i = 0; i < (has_password ? 1 : sizeof kept / sizeof kept[0]); i++) {
        json_t *value = json_object_get(a.json, kept[i]);
        if (json_object_get(change, kept[i]) == NULL && value != NULL)
            json_object_set(change, kept[i], value);
    }
    if (json_is_array(json_object_get(change, "tags"))) {
        char *list = output_cell(json_object_get(change, "tags"), KIND_LIST);
        list[strlen(list) - 1] = '\0';
        json_object_set_new(change, "tags", json_string(list + 1));
        free(list);
    }
    if (status == 0)
        status = ctl_do(c, "PUT", path_of("users", c->args[0]), json_incref(change));
    json_decref(change);
    answer_fini(&a);
    return ctl_done(c, status);
}

int users_change_password(struct ctl *c)
{
    int status = 0;
    char *password = password_read(c, 1, &status);
    if (password == NULL)
        return status;
    status = update(c, password_body(c, password));
    password_free(password);
    return status;
}

int users_clear_password(struct ctl *c)
{
    return update(c, json_pack("{s:s}", "password_hash", ""));
}

int users_set_tags(struct ctl *c)
{
    json_t *tags = json_array();
    for (size_t i = 1; i < c->n_args; i++)
        json_array_append_new(tags, json_string(c->args[i]));
    return update(c, json_pack("{s:o}", "tags", tags));
}

/* A broker that has no call for it: does its API know the login?  One without tags is good too. */
static bool is_login_known(struct ctl *c, const char *user, const char *password, enum client_error *error)
{
    struct answer a;
    *error = ctl_try_as(c, user, password, path_of("whoami"), &a);
    char *reason = ctl_reason(&a);
    bool is_known = a.status == 200 || (a.status == 401 && strcmp(reason, "Not management user") == 0);
    free(reason);
    answer_fini(&a);
    return is_known;
}

int users_authenticate(struct ctl *c)
{
    struct answer a;
    int status = 0;
    char *password = password_read(c, 1, &status);
    if (password == NULL)
        return status;
    enum client_error error = ctl_try(c, "POST", path_of("millrace", "authenticate"),
                                      json_pack("{s:s, s:s}", "username", c->args[0], "password", password), &a);
    bool is_good = error == CLIENT_OK && a.status == 204, is_missing = error == CLIENT_OK && a.status >= 404;
    if (is_missing)
        is_good = is_login_known(c, c->args[0], password, &error);
    else if (error == CLIENT_OK && !is_good && a.status != 401)
        status = ctl_refused(c, &a);
    password_free(password);
    answer_fini(&a);
    if (error != CLIENT_OK)
        return ctl_unreachable(c, error);
    if (status != 0)
        return status;
    if (!is_good)
        return ctl_fail(c, EX_DATAERR, "Error: failed to authenticate user \"%s\"\nuser '%s' - invalid credentials",
                        c->args[0], c->args[0]);
    ctl_tell(c, "Success");
    return ctl_done(c, 0);
}

int users_hash_password(struct ctl *c)
{
    struct answer a;
    int status = 0;
    char *password = password_read(c, 0, &status);
    if (password == NULL)
        return status;
    if (password[0] == '\0') {
        password_free(password);
        return ctl_fail(c, EX_DATAERR, "the password is empty");
    }
    status = ctl_call(c, "POST", path_of("millrace", "hash-password"), json_pack("{s:s}", "password", password), &a);
    password_free(password);
    if (status == 0)
        status = ctl_refused(c, &a);
    if (status == 0 && c->format == FORMAT_JSON)
        output_json(stdout, a.json);
    else if (status == 0)
        printf("%s\n", ctl_string(a.json, "hash"));
    answer_fini(&a);
    return status;
}
