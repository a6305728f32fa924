#include "base/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

#include "base/check.h"

void random_fill(void *to, size_t n)
{
    uint8_t *at = to;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        CHECK(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}
