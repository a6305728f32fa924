#define _GNU_SOURCE
#include "broker/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/real.h"

static bool integer_parse(const char *text, uint64_t *n)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0')
        return false;
    errno = 0;
    *n = strtoull(text, NULL, 10);
    return errno == 0;
}

static bool boolean_parse(const char *text, uint64_t *n)
{
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *n = i % 2;
            return true;
        }
    }
    return false;
}

/* What a unit stands for, or 0: k, kb (1000, or 1024 if binary), ki, kib (1024), and so on to peta. */
static double unit_of(const char *unit, bool is_binary)
{
    static const char letters[] = "kmgtp";
    if (unit[0] == '\0' || strcasecmp(unit, "b") == 0)
        return 1;
    const char *letter = strchr(letters, tolower((unsigned char)unit[0]));
    if (letter == NULL)
        return 0;
    double base = is_binary ? 1024 : 1000;
    if (strcasecmp(unit + 1, "i") == 0 || strcasecmp(unit + 1, "ib") == 0)
        base = 1024;
    else if (unit[1] != '\0' && strcasecmp(unit + 1, "b") != 0)
        return 0;
    return real_power(base, (unsigned)(letter - letters + 1));
}

static bool size_parse(const char *text, bool is_binary, uint64_t *n)
{
    if (integer_parse(text, n))
        return true;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits > 20 || !isdigit((unsigned char)text[0]))
        return false;
    char number[24];
    memcpy(number, text, digits);
    number[digits] = '\0';
    char *end;
    double value = strtod(number, &end), unit = unit_of(text + digits + strspn(text + digits, " "), is_binary);
    if (*end != '\0' || unit == 0 || value * unit >= 0x1p64)
        return false;
    *n = (uint64_t)(value * unit);
    return true;
}

static bool fraction_parse(const char *text, double *fraction)
{
    size_t digits = strspn(text, "0123456789.");
    char *end;
    double value = strtod(text, &end);
    bool is_percent = strcmp(end, "%") == 0;
    *fraction = is_percent ? value / 100 : value;
    return digits > 0 && end == text + digits && (is_percent || *end == '\0');
}

/* Numbers with units, the larger first or not: 1h30m; without a unit: ms. */
static bool duration_parse(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1},       {"s", 1000},      {"m", 60000},     {"h", 3600000},
                 {"d", 86400000}, {"w", 604800000}, {"f", 1209600000}};
    enum { DIGITS_MAX = 12 };
    if (strlen(text) <= DIGITS_MAX && integer_parse(text, ms))
        return true;
    bool is_one = *text != '\0';
    for (*ms = 0; *text != '\0' && is_one;) {
        size_t digits = strspn(text, "0123456789"), letters = strcspn(text + digits, "0123456789"), i = 0;
        size_t n = sizeof units / sizeof units[0];
        while (i < n && (strlen(units[i].unit) != letters || strncasecmp(text + digits, units[i].unit, letters) != 0))
            i++;
        is_one = digits > 0 && digits <= DIGITS_MAX && i < n;
        if (is_one)
            *ms += strtoull(text, NULL, 10) * units[i].ms;
        text += digits + letters;
    }
    return is_one;
}

static bool level_parse(const char *text, uint64_t *n)
{
    int level = log_level_find(text);
    if (level < 0 && (strcasecmp(text, "alert") == 0 || strcasecmp(text, "emergency") == 0))
        level = LOG_CRITICAL_LEVEL;
    *n = (uint64_t)level;
    return level >= 0;
}

/* Ends with a port, behind a colon if there is more.  Whether the rest is an address shows when it is listened at. */
static bool listener_parse(const char *text)
{
    if (strncmp(text, "unix:/", 6) == 0)
        return true;
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    return colon != text && integer_parse(colon != NULL ? colon + 1 : text, &port) && port <= UINT16_MAX;
}

/* The words of a type, up to a NULL, and what they are for people; NULL: it has none. */
static const char *const *words_of(enum config_type type, const char **expected)
{
    static const char *const log_format[] = {"plaintext", "json", NULL};
    static const char *const log_time[] = {"rfc3339_space", "rfc3339_T",     "epoch_usecs",
                                           "epoch_secs",    "lager_default", NULL};
    static const char *const verify[] = {"verify_none", "verify_peer", NULL};
    static const char *const versions[] = {"tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1", NULL};
    static const char *const crl_check[] = {"false", "true", "peer", "best_effort", NULL};
    static const char *const login_from[] = {"distinguished_name", "common_name", "subject_alternative_name", NULL};
    static const char *const mechanism[] = {"PLAIN", "AMQPLAIN", "EXTERNAL", NULL};
    static const char *const san_type[] = {"dns", "ip", "email", "uri", "other_name", NULL};
    static const char *const queue_type[] = {"classic", "quorum", "stream", NULL};
    static const char *const apply_to[] = {"queues", "classic_queues", "quorum_queues", "streams", "all", NULL};
    static const char *const rates_mode[] = {"basic", "none", "detailed", NULL};
    static const struct {
        enum config_type type;
        const char *const *words;
        const char *expected;
    } all[] = {
        {TYPE_QUEUE_TYPE, queue_type, "one of classic, quorum, stream"},
        {TYPE_RATES_MODE, rates_mode, "one of basic, none, detailed"},
        {TYPE_LOG_FORMAT, log_format, "one of plaintext, json"},
        {TYPE_LOG_TIME, log_time, "one of rfc3339_space, rfc3339_T, epoch_usecs, epoch_secs, lager_default"},
        {TYPE_APPLY_TO, apply_to, "one of queues, classic_queues, quorum_queues, streams, all"},
        {TYPE_VERIFY, verify, "one of verify_none, verify_peer"},
        {TYPE_TLS_VERSION, versions, "one of tlsv1.3, tlsv1.2"},
        {TYPE_CRL_CHECK, crl_check, "one of true, false, peer, best_effort"},
        {TYPE_LOGIN_FROM, login_from, "one of distinguished_name, common_name, subject_alternative_name"},
        {TYPE_MECHANISM, mechanism, "one of PLAIN, AMQPLAIN, EXTERNAL"},
        {TYPE_SAN_TYPE, san_type, "one of dns, ip, email, uri, other_name"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].type == type) {
            *expected = all[i].expected;
            return all[i].words;
        }
    }
    return NULL;
}

static bool word_parse(const struct config_key *key, const char *text, uint64_t *n, char *expected, size_t size)
{
    const char *what = "";
    const char *const *words = words_of(key->type, &what);
    snprintf(expected, size, "%s", what);
    for (*n = 0; words != NULL && words[*n] != NULL; ++*n)
        if (strcmp(text, words[*n]) == 0)
            return true;
    return false;
}

static bool mode_parse(const char *text, uint64_t *n)
{
    enum { DIGITS_MAX = 4 };
    size_t digits = strspn(text, "01234567");
    *n = strtoull(text, NULL, 8);
    return digits > 0 && digits <= DIGITS_MAX && text[digits] == '\0';
}

static void say(char *expected, size_t size, const char *what)
{
    snprintf(expected, size, "%s", what);
}

static bool in_range(const struct config_key *key, uint64_t n, const char *kind, char *expected, size_t size)
{
    snprintf(expected, size, "%s %" PRIu64 "..%" PRIu64, kind, key->min, key->max);
    return n >= key->min && n <= key->max;
}

/* A number of the key's range, or a word, which stands for a number beyond it. */
static bool number_or_word(const struct config_key *key, const char *text, struct config_value *value, char *expected,
                           size_t size)
{
    const bool is_limit = key->type == TYPE_LIMIT;
    const char *word = is_limit ? "infinity" : "auto";
    char kind[32];
    snprintf(kind, sizeof kind, "%s or", word);
    bool is_word = strcasecmp(text, word) == 0, is_one = !is_word && integer_parse(text, &value->number);
    bool fits = in_range(key, is_one ? value->number : 0, kind, expected, size);
    if (is_word)
        value->number = is_limit ? 0 : CONFIG_AUTO;
    return is_word || (is_one && fits);
}

bool config_value_parse(const struct config_key *key, const char *text, struct config_value *value, char *expected,
                        size_t size)
{
    *value = (struct config_value){0};
    switch (key->type) {
    case TYPE_INTEGER: {
        bool is_one = integer_parse(text, &value->number);
        return in_range(key, value->number, "integer", expected, size) && is_one;
    }
    case TYPE_LIMIT:
    case TYPE_THREADS:
        return number_or_word(key, text, value, expected, size);
    case TYPE_BOOLEAN:
        say(expected, size, "true or false");
        return boolean_parse(text, &value->number);
    case TYPE_STRING:
    case TYPE_SECRET:
        return in_range(key, strlen(text), "text of length", expected, size);
    case TYPE_SIZE:
    case TYPE_BYTES: {
        bool is_one = size_parse(text, key->type == TYPE_BYTES, &value->number);
        return (in_range(key, value->number, "bytes, perhaps with a unit (kB, MiB, …),", expected, size) && is_one);
    }
    case TYPE_DURATION: {
        bool is_one = duration_parse(text, &value->number);
        return in_range(key, value->number, "ms, or numbers with units (1h30m),", expected, size) && is_one;
    }
    case TYPE_FRACTION:
        say(expected, size, "a share such as 0.4 or 40%");
        return fraction_parse(text, &value->fraction) && value->fraction >= (double)key->min &&
               value->fraction <= (double)key->max;
    case TYPE_LEVEL:
        say(expected, size, "one of debug, info, notice, warning, error, critical, alert, emergency, none");
        return level_parse(text, &value->number);
    case TYPE_LISTENER:
        say(expected, size, "PORT, ADDRESS:PORT, unix:/PATH or none");
        return strcmp(text, "none") == 0 || listener_parse(text);
    case TYPE_PORT: {
        say(expected, size, "a port or none");
        bool is_none = strcmp(text, "none") == 0, is_one = integer_parse(text, &value->number);
        value->number = is_none ? CONFIG_NO_PORT : value->number;
        return is_none || (is_one && value->number <= UINT16_MAX);
    }
    case TYPE_MODE:
        say(expected, size, "the mode of a file, in octal");
        return mode_parse(text, &value->number) && value->number <= key->max;
    case TYPE_NONE:
        say(expected, size, "none");
        return strcmp(text, "none") == 0;
    case TYPE_VERIFY:
    case TYPE_TLS_VERSION:
    case TYPE_CRL_CHECK:
    case TYPE_LOGIN_FROM:
    case TYPE_MECHANISM:
    case TYPE_SAN_TYPE:
    case TYPE_QUEUE_TYPE:
    case TYPE_APPLY_TO:
    case TYPE_RATES_MODE:
    case TYPE_LOG_FORMAT:
    case TYPE_LOG_TIME:
        return word_parse(key, text, &value->number, expected, size);
    case TYPE_ANY:
        return true;
    }
    return false;
}
