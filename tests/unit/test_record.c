#include "tests/unit/unit.h"

#include "broker/port/load.h"
#include "broker/port/message.h"
#include "broker/port/record.h"

static struct message *message(void)
{
    return message_create(&(struct message_spec){.routing_key = BYTES("q")});
}

static struct record *publish(struct sheaf *s, struct message *m)
{
    struct record *r = sheaf_add(s, RECORD_PUBLISH);
    r->msg = message_ref(m);
    return r;
}

TEST(a_record_is_zero_but_for_its_kind)
{
    struct sheaf s;
    sheaf_init(&s);
    for (unsigned i = 0; i < 100; i++) {
        struct record *r = sheaf_add(&s, RECORD_SETTLE);
        assert_int_equal(r->kind, RECORD_SETTLE);
        assert_false(r->tx || r->transient);
        assert_int_equal(r->places, 0);
        assert_int_equal(r->at.queue, 0);
        assert_null(r->msg);
        r->at = (struct place){.queue = i, .position = i, .bytes = i};
        r->tx = r->transient = true;
        if (i == 50)
            sheaf_clear(&s);
    }
    assert_int_equal(s.n, 49);
    assert_int_equal(s.records[0].at.queue, 51);
    sheaf_fini(&s);
}

TEST(places_belong_to_the_publish_before_them)
{
    struct sheaf s;
    struct message *m = message();
    sheaf_init(&s);
    for (uint32_t i = 0; i < 20; i++) {
        publish(&s, m);
        for (uint32_t k = 0; k < i; k++)
            sheaf_place(&s, (struct place){.queue = i + 1, .position = k, .ttl_ms = PLACE_NO_TTL});
    }
    assert_int_equal(s.n_places, 190);
    size_t at = 0;
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(s.records[i].places, i);
        for (uint32_t k = 0; k < i; k++, at++) {
            assert_int_equal(s.places[at].queue, i + 1);
            assert_int_equal(s.places[at].position, k);
        }
    }
    sheaf_fini(&s);
    message_unref(m);
}

TEST(what_is_in_a_sheaf_goes_with_it)
{
    struct sheaf s;
    struct message *m = message();
    sheaf_init(&s);
    for (unsigned round = 0; round < 2; round++) {
        publish(&s, m);
        sheaf_add(&s, RECORD_DEFINE)->definition = definition_create(DEFINE_VHOST, 0, BYTES("/"), BYTES("x"));
        sheaf_add(&s, RECORD_UNDEFINE)->definition = definition_create(DEFINE_QUEUE, 1, BYTES("q"), BYTES(""));
        sheaf_add(&s, RECORD_COMMIT);
        s.bytes = 7;
        s.last = 4;
        assert_int_equal(m->refs, 2);
        sheaf_clear(&s);
        assert_int_equal(m->refs, 1);
        assert_int_equal(s.n, 0);
        assert_int_equal(s.bytes, 0);
        assert_int_equal(s.last, 4);
        assert_true(s.capacity > 0);
    }
    publish(&s, m);
    sheaf_fini(&s);
    assert_int_equal(m->refs, 1);
    message_unref(m);
}

TEST(a_huge_sheaf_is_not_kept)
{
    struct sheaf s;
    struct message *m = message();
    sheaf_init(&s);
    for (size_t i = 0; i <= SHEAF_KEPT_MAX / sizeof(struct record); i++)
        sheaf_add(&s, RECORD_SETTLE);
    publish(&s, m);
    for (size_t i = 0; i <= SHEAF_KEPT_MAX / sizeof(struct place); i++)
        sheaf_place(&s, (struct place){.queue = 1});
    sheaf_clear(&s);
    assert_int_equal(s.capacity, 0);
    assert_int_equal(s.places_capacity, 0);
    publish(&s, m);
    sheaf_place(&s, (struct place){.queue = 1});
    assert_int_equal(s.n, 1);
    sheaf_fini(&s);
    message_unref(m);
}

TEST(a_definition_has_copies)
{
    char key[] = "key", value[] = "value";
    struct definition *d = definition_create(DEFINE_QUEUE, 9, bytes_of_string(key), bytes_of_string(value));
    key[0] = value[0] = 'x';
    assert_int_equal(d->what, DEFINE_QUEUE);
    assert_int_equal(d->queue, 9);
    assert_null(d->next);
    assert_true(bytes_equal(d->key, BYTES("key")));
    assert_true(bytes_equal(d->value, BYTES("value")));
    free(d);
    d = definition_create(DEFINE_EXCHANGE, 0, (struct bytes){0}, (struct bytes){0});
    assert_int_equal(d->key.len + d->value.len, 0);
    free(d);
}

TEST(a_load_holds_its_messages)
{
    struct message *m = message();
    struct load *l = load_create(3);
    assert_int_equal(l->capacity, 3);
    assert_int_equal(l->n, 0);
    while (l->n < 2)
        l->entries[l->n++].msg = message_ref(m);
    assert_int_equal(m->refs, 3);
    load_destroy(l);
    assert_int_equal(m->refs, 1);
    message_unref(m);
    load_destroy(load_create(0));
    load_destroy(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_zero_but_for_its_kind), cmocka_unit_test(places_belong_to_the_publish_before_them),
        cmocka_unit_test(what_is_in_a_sheaf_goes_with_it),   cmocka_unit_test(a_huge_sheaf_is_not_kept),
        cmocka_unit_test(a_definition_has_copies),           cmocka_unit_test(a_load_holds_its_messages),
    };
    return unit_main("record", tests, argc, argv);
}
