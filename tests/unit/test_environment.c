#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/config.h"
#include "broker/environment.h"

/* What these variables ("NAME=VALUE", up to a NULL) make of the configuration. */
static struct config *configure(const char *const *variables)
{
    struct config *c = config_create();
    clearenv();
    for (; *variables != NULL; variables++) {
        const char *equals = strchr(*variables, '=');
        char *name = str_format("%.*s", (int)(equals - *variables), *variables);
        setenv(name, equals + 1, 1);
        free(name);
    }
    environment_load(c);
    environment_apply(c);
    return c;
}

#define CONFIGURE(...) configure((const char *const[]){__VA_ARGS__, NULL})

static const char *first_complaint(const struct config *c)
{
    size_t n;
    const struct config_complaint *all = config_complaints(c, &n);
    return n > 0 ? all[0].text : "";
}

static void assert_set(struct config *c, enum config_id id, const char *expect)
{
    assert_string_equal(first_complaint(c), "");
    assert_string_equal(config_text(c, id), expect);
}

TEST(the_image_s_variables_make_the_first_user)
{
    struct config *c = CONFIGURE("RABBITMQ_DEFAULT_USER=ann", "RABBITMQ_DEFAULT_PASS=p#'1", "RABBITMQ_DEFAULT_VHOST=v");
    assert_set(c, KEY_DEFAULT_USER, "ann");
    assert_set(c, KEY_DEFAULT_PASS, "p#'1");
    assert_set(c, KEY_DEFAULT_VHOST, "v");
    config_destroy(c);
}

TEST(a_password_does_not_stay_in_the_environment)
{
    struct config *c = CONFIGURE("RABBITMQ_DEFAULT_PASS=secret");
    assert_string_equal(getenv("RABBITMQ_DEFAULT_PASS"), "");
    config_destroy(c);
}

TEST(our_names_come_before_rabbitmq_s)
{
    struct config *c = CONFIGURE("RABBITMQ_DEFAULT_USER=ann", "MILLRACE_DEFAULT_USER=bob");
    assert_set(c, KEY_DEFAULT_USER, "bob");
    config_destroy(c);
}

static char *write_file(const char *text)
{
    char *path = str_format("/tmp/millrace-env-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

static void remove_file(char *path)
{
    unlink(path);
    free(path);
}

TEST(secrets_come_from_files)
{
    char *path = write_file("from a file\nand no more\n"),
         *variable = str_format("RABBITMQ_DEFAULT_PASS_FILE=%s", path);
    struct config *c = CONFIGURE(variable);
    assert_set(c, KEY_DEFAULT_PASS, "from a file");
    config_destroy(c);
    c = CONFIGURE("RABBITMQ_DEFAULT_PASS_FILE=/nowhere");
    assert_string_equal(first_complaint(c), "env RABBITMQ_DEFAULT_PASS_FILE: that file cannot be read");
    assert_int_equal(config_errors(c), 1);
    config_destroy(c);
    free(variable);
    remove_file(path);
}

static void take(void *arg, const char *word, const char *value, uint64_t number)
{
    (void)number;
    char **to = arg;
    char *more = str_format("%s%s=%s ", *to, word, value);
    free(*to);
    *to = more;
}

static void assert_each(struct config *c, enum config_id id, const char *expect)
{
    char *all = str_format("%s", "");
    assert_string_equal(first_complaint(c), "");
    config_each(c, id, take, &all);
    assert_string_equal(all, expect);
    free(all);
}

TEST(the_first_listener_has_a_port_and_an_address)
{
    static const struct {
        const char *variables[3], *expect;
    } all[] = {
        {{"RABBITMQ_NODE_PORT=5673"}, "default=5673 "},
        {{"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1"}, "default=127.0.0.1:5672 "},
        {{"RABBITMQ_NODE_IP_ADDRESS=::1", "RABBITMQ_NODE_PORT=1"}, "default=[::1]:1 "},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct config *c = configure(all[i].variables);
        assert_each(c, KEY_LISTENERS_TCP, all[i].expect);
        config_destroy(c);
    }
}

TEST(the_log_has_variables)
{
    struct config *c = CONFIGURE("RABBITMQ_LOGS=-", "RABBITMQ_LOG=debug,connection.warning");
    assert_set(c, KEY_LOG_FILE, "false");
    assert_set(c, KEY_LOG_CONSOLE_LEVEL, "debug");
    assert_each(c, KEY_LOG_CATEGORY_LEVEL, "connection=warning ");
    config_destroy(c);
    c = CONFIGURE("RABBITMQ_LOGS=/x/y.log", "RABBITMQ_LOG_BASE=/x");
    assert_set(c, KEY_LOG_FILE, "/x/y.log");
    assert_set(c, KEY_LOG_DIR, "/x");
    config_destroy(c);
}

TEST(a_watermark_is_a_share_or_a_size)
{
    struct config *c = CONFIGURE("RABBITMQ_VM_MEMORY_HIGH_WATERMARK=0.6");
    assert_true(config_fraction(c, KEY_WATERMARK_RELATIVE) > 0.59);
    config_destroy(c);
    c = CONFIGURE("RABBITMQ_VM_MEMORY_HIGH_WATERMARK=512MiB");
    assert_int_equal(config_number(c, KEY_WATERMARK_ABSOLUTE), 512 << 20);
    config_destroy(c);
}

TEST(what_people_write_into_erlang_s_arguments_counts)
{
    struct config *c = CONFIGURE("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-rabbit consumer_timeout 3600000 "
                                 "-rabbitmq_management load_definitions \"/etc/d.json\" -rabbit loopback_users []");
    assert_int_equal(config_number(c, KEY_CONSUMER_TIMEOUT), 3600000);
    assert_set(c, KEY_LOAD_DEFINITIONS, "/etc/d.json");
    assert_true(config_is_set(c, KEY_LOOPBACK_USERS_NONE));
    config_destroy(c);
    c = CONFIGURE("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-rabbit vm_memory 1");
    assert_int_equal(config_errors(c), 0);
    assert_non_null(strstr(first_complaint(c), "'-rabbit vm_memory' has no effect"));
    config_destroy(c);
}

TEST(what_would_leave_a_port_open_stops_the_start)
{
    struct config *c = CONFIGURE("RABBITMQ_SSL_CERTFILE=/x");
    assert_int_equal(config_errors(c), 1);
    assert_non_null(strstr(first_complaint(c), "set ssl_options.certfile"));
    config_destroy(c);
}

TEST(a_bad_value_is_named_with_its_variable)
{
    struct config *c = CONFIGURE("RABBITMQ_NODE_PORT=many");
    assert_int_equal(config_errors(c), 1);
    assert_non_null(strstr(first_complaint(c), "env RABBITMQ_NODE_PORT: listeners.tcp.default: "));
    config_destroy(c);
}

TEST(a_file_of_variables_fills_in)
{
    char *path =
        write_file("# comment\nNODENAME=rabbit@file\nexport RABBITMQ_NODE_PORT = '77'\nDEFAULT_USER=\"ann\"\n");
    char *variable = str_format("RABBITMQ_CONF_ENV_FILE=%s", path);
    struct config *c = CONFIGURE(variable, "RABBITMQ_DEFAULT_USER=bob");
    assert_set(c, KEY_NODE_NAME, "rabbit@file");
    assert_each(c, KEY_LISTENERS_TCP, "default=77 ");
    assert_set(c, KEY_DEFAULT_USER, "bob");
    config_destroy(c);
    free(variable);
    remove_file(path);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_image_s_variables_make_the_first_user),
        cmocka_unit_test(a_password_does_not_stay_in_the_environment),
        cmocka_unit_test(our_names_come_before_rabbitmq_s),
        cmocka_unit_test(secrets_come_from_files),
        cmocka_unit_test(the_first_listener_has_a_port_and_an_address),
        cmocka_unit_test(the_log_has_variables),
        cmocka_unit_test(a_watermark_is_a_share_or_a_size),
        cmocka_unit_test(what_people_write_into_erlang_s_arguments_counts),
        cmocka_unit_test(what_would_leave_a_port_open_stops_the_start),
        cmocka_unit_test(a_bad_value_is_named_with_its_variable),
        cmocka_unit_test(a_file_of_variables_fills_in),
    };
    return unit_main("environment", tests, argc, argv);
}
