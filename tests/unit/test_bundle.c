#include "broker/store/bundle.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "broker/port/message.h"

/* A message that a sheaf in a bundle holds; the caller has a reference too. */
static struct message *fill(struct bundle *b)
{
    struct message *m = message_create(&(struct message_spec){.flags = MESSAGE_PERSISTENT});
    sheaf_add(&b->sheaf, RECORD_PUBLISH)->msg = message_ref(m);
    return m;
}

/* It goes to the journal thread, which gives the sheaf to somebody and gets it back. */
static void go_and_return(struct bundles *all, struct bundle *b)
{
    struct sheaf sheaf = b->sheaf;
    sheaf_init(&b->sheaf);
    bundles_keep_shell(all, b);
    bundles_send_home(all, &sheaf);
    assert_null(sheaf.records);
}

TEST(messages_are_let_go_of_at_home_and_the_room_is_used_again)
{
    struct bundles all;
    bundles_init(&all);
    struct bundle *b = bundles_take(&all);
    struct message *m = fill(b);
    size_t capacity = b->sheaf.capacity;
    go_and_return(&all, b);
    assert_int_equal(m->refs, 2);
    b = bundles_take(&all);
    assert_int_equal(m->refs, 1);
    assert_int_equal(b->sheaf.n, 0);
    assert_int_equal(b->sheaf.capacity, capacity);
    message_unref(m);
    bundles_destroy(&b->parcel);
    bundles_fini(&all);
}

TEST(what_nobody_asks_for_is_let_go_of)
{
    struct bundles all;
    bundles_init(&all);
    struct bundle *b = bundles_take(&all);
    struct message *m = fill(b);
    go_and_return(&all, b);
    bundles_drop_used(&all);
    assert_int_equal(m->refs, 1);
    message_unref(m);
    bundles_fini(&all);
}

TEST(no_more_are_kept_than_may_be)
{
    struct bundles all;
    bundles_init(&all);
    struct bundle *out[2 * BUNDLES_SPARE];
    for (unsigned i = 0; i < 2 * BUNDLES_SPARE; i++)
        out[i] = bundles_take(&all);
    for (unsigned i = 0; i < 2 * BUNDLES_SPARE; i++)
        go_and_return(&all, out[i]);
    assert_int_equal(all.n_used, BUNDLES_SPARE);
    for (unsigned i = 0; i < 2 * BUNDLES_SPARE; i++) { /* sheaves that were dropped on the way */
        struct bundle *b = alloc_zeroed(sizeof *b);
        bundles_keep_shell(&all, b);
    }
    assert_int_equal(all.n_shells, BUNDLES_SPARE);
    bundles_fini(&all);
}

TEST(a_sheaf_without_a_shell_is_dropped)
{
    struct bundles all;
    bundles_init(&all);
    struct bundle b = {0};
    struct message *m = fill(&b);
    bundles_send_home(&all, &b.sheaf);
    assert_int_equal(m->refs, 1);
    message_unref(m);
    bundles_fini(&all);
}

TEST(one_with_too_much_room_is_not_used_again)
{
    struct bundles all;
    bundles_init(&all);
    struct bundle *b = bundles_take(&all);
    for (unsigned i = 0; i <= BUNDLE_RECORDS_SPARE; i++)
        sheaf_add(&b->sheaf, RECORD_SETTLE);
    go_and_return(&all, b);
    b = bundles_take(&all);
    assert_int_equal(b->sheaf.capacity, 0);
    bundles_destroy(&b->parcel);
    bundles_fini(&all);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_let_go_of_at_home_and_the_room_is_used_again),
        cmocka_unit_test(what_nobody_asks_for_is_let_go_of),
        cmocka_unit_test(no_more_are_kept_than_may_be),
        cmocka_unit_test(a_sheaf_without_a_shell_is_dropped),
        cmocka_unit_test(one_with_too_much_room_is_not_used_again),
    };
    return unit_main("store/bundle", tests, argc, argv);
}
