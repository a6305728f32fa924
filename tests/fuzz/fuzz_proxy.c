/* PROXY headers as they come from the network: any bytes are one, the beginning of one, or none; what a header is does
 * not depend on what follows it, and no beginning of it is anything but a beginning. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/check.h"
#include "broker/net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address from, to, again_from, again_to;
    size_t used, again;
    enum proxy_verdict verdict = proxy_read(bytes_of(data, size), &used, &from, &to);
    if (verdict == PROXY_MORE || verdict == PROXY_BAD) {
        CHECK(used == 0 && (verdict == PROXY_BAD || size < PROXY_HEADER_MAX));
        return 0;
    }
    CHECK(used > 0 && used <= size && used <= PROXY_HEADER_MAX);
    CHECK(proxy_read(bytes_of(data, used), &again, &again_from, &again_to) == verdict && again == used);
    if (verdict == PROXY_FINE) {
        char text[ADDRESS_TEXT_MAX];
        address_format(&from, text);
        CHECK(strcmp(text, "unknown") != 0 && from.len > 0 && to.len > 0);
        CHECK(memcmp(&from, &again_from, sizeof from) == 0 && memcmp(&to, &again_to, sizeof to) == 0);
    }
    CHECK(proxy_read(bytes_of(data, used - 1), &again, &again_from, &again_to) == PROXY_MORE && again == 0);
    CHECK(proxy_read(bytes_of(data, used / 2), &again, &again_from, &again_to) == PROXY_MORE && again == 0);
    return 0;
}
