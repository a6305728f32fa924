#include "broker/admin/definitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/admin/json.h"
#include "broker/model/broker.h"
#include "broker/port/spec.h"
#include "tests/unit/census.h"
#include "tests/unit/document.h"
#include "tests/unit/unit.h"

static void ignore(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

/* Refused or read, and then the model answers; nothing breaks. */
static void try_text(const char *text)
{
    const struct definitions_options o = {.warn = ignore};
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
    json_t *document = json_read(bytes_of_string(document_small), &error), *objects, *copy = json_copy(document);
    spoil(document, document);
    json_object_foreach(copy, section, objects) if (json_is_array(objects)) spoil(document, json_array_get(objects, 0));
    json_decref(copy);
    json_decref(document);
}

TEST(a_document_that_ends_early_is_refused)
{
    char *error = NULL;
    for (size_t n = 1; n < strlen(document_small); n++) {
        char *part = alloc_copy(document_small, n); /* exactly as large: sanitizers see what reads beyond */
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
    document_refused("{\n \"queues\": [,]}", "2:");
    document_refused("{\"a\":1,\"a\":2}", "duplicate");
    document_refused("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"name\":\"r\"}]}", "duplicate");
    document_refused("{\"a\":\"\xff\"}", "1:");
    document_refused("{\"a\":\"\xed\xa0\x80\"}", "1:");
    document_refused("{\"a\":99999999999999999999999999}", "1:");
    document_refused("{\"a\":1e999}", "1:");
    document_refused("{} x", "1:");
    document_refused(deep, ":");
    memset(deep, ' ', 200000);
    for (int i = 0; i < 65; i++) {
        deep[i] = '[';
        deep[130 - i] = ']';
    }
    deep[131] = '\0';
    document_refused(deep, "nested deeper than 64 levels");
    free(deep);
}

TEST(a_document_that_is_too_large_is_not_even_read)
{
    document_refused_for(BYTES("{\"a\":1}"), &(struct definitions_options){.bytes_max = 6}, "larger than 6 bytes");
    changes_destroy(document_read_for(BYTES("{\"a\":1}"), NULL, &(struct definitions_options){.bytes_max = 7}));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_member_can_break_it),
        cmocka_unit_test(a_document_that_ends_early_is_refused),
        cmocka_unit_test(json_that_is_none_is_refused_with_its_place),
        cmocka_unit_test(a_document_that_is_too_large_is_not_even_read),
    };
    return unit_main("definitions_hostile", tests, argc, argv);
}
