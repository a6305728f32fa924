#include "broker/admin/definitions.h"

#include <stdlib.h>
#include <string.h>

#include "broker/model/broker.h"
#include "broker/port/spec.h"
#include "codec/table.h"
#include "tests/unit/census.h"
#include "tests/unit/document.h"
#include "tests/unit/unit.h"

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
    changes_destroy(document_make(b, document_read(TEXT)));
    char *text = census_export_text(b, NULL);
    struct changes *again = document_make(b, document_read(text));
    assert_int_equal(again->n, 7);
    assert_int_equal(document_count(again, CHANGE_NOTHING), 7);
    changes_destroy(again);
    free(text);
    broker_destroy(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exclusive_queues_are_left_out_and_others_are_there_once),
        cmocka_unit_test(a_writer_may_be_dropped_in_the_middle),
        cmocka_unit_test(names_that_only_bytes_tell_apart_are_all_there),
    };
    return unit_main("definitions_export", tests, argc, argv);
}
