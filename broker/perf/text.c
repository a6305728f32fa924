#include "broker/perf/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

struct unit {
    double size;
    const char *name;
};

struct perf_text perf_text_number(double n)
{
    struct perf_text t;
    double size = fabs(n);
    if (!isfinite(n))
        return (struct perf_text){"-"};
    /* The limits are where rounding would need another digit. */
    int digits = size < 1e-6 ? 0 : size < 0.9995 ? 3 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
    snprintf(t.s, sizeof t.s, "%.*f", digits, n);
    return t;
}

/* In the largest unit of which there is one, when three digits are shown. */
static struct perf_text in_units(double n, const struct unit *units, unsigned count)
{
    struct perf_text t;
    unsigned i = 0;
    if (!isfinite(n))
        return (struct perf_text){"-"};
    while (i + 1 < count && fabs(n) >= units[i + 1].size * 0.9995)
        i++;
    double shown = n / units[i].size;
    if (i == 0)
        snprintf(t.s, sizeof t.s, "%.0f %s", shown, units[i].name);
    else
        snprintf(t.s, sizeof t.s, "%.20s %s", perf_text_number(shown).s, units[i].name);
    return t;
}

struct perf_text perf_text_duration(double ns)
{
    static const struct unit units[] = {{1, "ns"}, {1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}};
    return in_units(ns, units, sizeof units / sizeof *units);
}

struct perf_text perf_text_bytes(double n)
{
    static const struct unit units[] = {{1, "B"}, {1024, "KiB"}, {1048576, "MiB"}, {1073741824, "GiB"}};
    return in_units(n, units, sizeof units / sizeof *units);
}

struct perf_text perf_text_count(double n)
{
    struct perf_text t;
    char digits[32];
    if (!isfinite(n) || n < 0 || n >= 1e18)
        return (struct perf_text){"-"};
    if (n < 99.95 && n != trunc(n))
        return perf_text_number(n);
    int len = snprintf(digits, sizeof digits, "%.0f", n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            t.s[at++] = ',';
        t.s[at++] = digits[i];
    }
    t.s[at] = '\0';
    return t;
}

struct perf_text perf_text_short(double n)
{
    static const struct unit units[] = {{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}};
    struct perf_text t;
    unsigned i = 0;
    while (i < 3 && fabs(n) >= units[i + 1].size)
        i++;
    snprintf(t.s, sizeof t.s, "%.4g%s", n / units[i].size, units[i].name);
    return t;
}

const char *perf_text_plain(char *to, size_t room, const char *from)
{
    size_t at = 0, left = strlen(from);
    while (left > 0) {
        size_t n = utf8_length(bytes_of(from, left));
        bool is_bad = n == 0 || (unsigned char)*from < ' ' || *from == 0x7F ||
                      (n == 2 && (unsigned char)from[0] == 0xC2 && (unsigned char)from[1] < 0xA0); /* C1 */
        size_t step = n == 0 ? 1 : n, width = is_bad ? 1 : step;
        if (at + width + 1 > room)
            break;
        if (is_bad)
            to[at] = '?';
        else
            memcpy(to + at, from, step);
        at += width;
        from += step;
        left -= step;
    }
    to[at] = '\0';
    return to;
}
