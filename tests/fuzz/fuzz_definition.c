/* Definitions as they come from disk: any bytes are read or refused, and what is read is written as it was.  The input
 * is a byte for the class, two for the key's length, key and value. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/port/definition.h"
#include "codec/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_over(bytes_of(data, size));
    enum definition_class what = (enum definition_class)cursor_u8(&c);
    struct bytes key = cursor_take(&c, cursor_u16(&c)), vhost;
    if (c.bad)
        return 0;
    struct bytes value = cursor_take(&c, cursor_left(&c));
    struct spec *s = definition_read_spec(what, key, value, &vhost);
    if (s == NULL)
        return 0;
    struct definition *d = definition_define(what, 1, vhost, s);
    CHECK(bytes_equal(d->key, key) && bytes_equal(d->value, value));
    free(d);
    free(s);
    return 0;
}
