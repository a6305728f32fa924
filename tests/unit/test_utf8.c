#include "tests/unit/unit.h"

#include "base/utf8.h"
#include "tests/unit/vectors.h"

TEST(utf8_is_told_from_what_is_not)
{
    static const char *const good[] = {
        "",
        "00",
        "7f",
        "c280",
        "dfbf",
        "e0a080",
        "ed9fbf",
        "ee8080",
        "efbfbf",
        "f0908080",
        "f48fbfbf",
        "61626364656667c3bc",
        "6162636465666768 e282ac 6162636465666768",
    };
    static const char *const bad[] = {
        "80",
        "bf",
        "c080",
        "c1bf",
        "c2",
        "c27f",
        "c2c0",
        "e080bf",
        "e09fbf",
        "eda080",
        "edbfbf",
        "e282",
        "e28261",
        "f0808080",
        "f08fbfbf",
        "f4908080",
        "f5808080",
        "f09f98",
        "f09f9861",
        "ff",
        "fe",
        "6162636465666768 ff",
        "61626364656667 ff 68",
        "6162636465666768 e282",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct bytes b = hex(good[i]);
        assert_true(utf8_check(b));
        drop(b);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = hex(bad[i]);
        assert_false(utf8_check(b));
        drop(b);
    }
    assert_true(utf8_check((struct bytes){0}));
}

TEST(characters_of_every_length_are_read)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint32_t character;
    } all[] = {
        {"4162", 1, 'A'},           {"00", 1, 0},
        {"c3bc62", 2, 0xfc},        {"e282ac62", 3, 0x20ac},
        {"f09f988062", 4, 0x1f600}, {"f48fbfbf", 4, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct bytes b = hex(all[i].bytes);
        assert_int_equal(utf8_length(b), all[i].len);
        assert_int_equal(utf8_decode(b, all[i].len), all[i].character);
        drop(b);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_told_from_what_is_not),
        cmocka_unit_test(characters_of_every_length_are_read),
    };
    return unit_main("utf8", tests, argc, argv);
}
