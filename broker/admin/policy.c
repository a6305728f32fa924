#include "broker/admin/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/pattern.h"
#include "base/str.h"
#include "broker/admin/json.h"
#include "broker/port/queue_options.h"

enum { PRINT_MAX = 200 }; /* bytes of a value in a text */

/* What a key's value must be. */
enum rule {
    INTEGER, /* low or more */
    TEXT,
    KEY,  /* a text that can be a routing key */
    WORD, /* one of the words */
    BOOLEAN,
    AGE, /* "7D" */
    ANY, /* means nothing here: whatever */
};

struct key {
    const char *name;
    const char *what; /* "… is not a valid THIS" */
    const char *const *words;
    json_int_t low;
    enum rule rule;
    bool is_operators; /* operator policies may have it */
};

static const char *const overflows[] = {"drop-head", "reject-publish", "reject-publish-dlx", NULL};
static const char *const strategies[] = {"at-most-once", "at-least-once", NULL};
static const char *const modes[] = {"default", "lazy", NULL};
static const char *const locators[] = {"client-local", "balanced", "random", "least-leaders", NULL};
static const char *const retries[] = {"disabled", "all", "failed", "returned", NULL};

static const char *const growths[] = {"linear", "constant", "exponential", NULL};

static const struct key keys[] = {
    {.name = "message-ttl", .what = "message TTL", .rule = INTEGER, .is_operators = true},
    {.name = "expires", .what = "queue expiry", .rule = INTEGER, .low = 1, .is_operators = true},
    {.name = "max-length", .what = "maximum length", .rule = INTEGER, .is_operators = true},
    {.name = "max-length-bytes", .what = "maximum length in bytes", .rule = INTEGER, .is_operators = true},
    {.name = "overflow", .what = "overflow value", .rule = WORD, .words = overflows, .is_operators = true},
    {.name = "dead-letter-exchange", .what = "dead letter exchange name", .rule = TEXT},
    {.name = "dead-letter-routing-key", .what = "dead letter routing key", .rule = KEY},
    {.name = "dead-letter-strategy", .what = "dead letter strategy", .rule = WORD, .words = strategies},
    {.name = "delivery-limit", .what = "delivery limit", .rule = INTEGER, .low = INT64_MIN, .is_operators = true},
    {.name = "consumer-timeout", .what = "consumer timeout", .rule = INTEGER},
    {.name = "consumer-disconnected-timeout", .what = "consumer timeout", .rule = INTEGER},
    {.name = "delayed-retry-type", .what = "delayed retry type", .rule = WORD, .words = retries, .is_operators = true},
    {.name = "delayed-retry-min", .what = "delayed retry time", .rule = INTEGER, .is_operators = true},
    {.name = "delayed-retry-max", .what = "delayed retry time", .rule = INTEGER, .is_operators = true},
    {.name = "delayed-retry-multiplier", .what = "delayed retry multiplier", .rule = WORD, .words = growths},
    {.name = "message-deduplication", .what = "message-deduplication value", .rule = BOOLEAN},
    {.name = "deduplication-header", .what = "deduplication header", .rule = TEXT},
    {.name = "cache-size", .what = "cache size", .rule = INTEGER},
    {.name = "cache-ttl", .what = "cache TTL", .rule = INTEGER},
    {.name = "message-group-header", .what = "message group header", .rule = TEXT},
    {.name = "max-publish-rate", .what = "publish rate", .rule = INTEGER, .is_operators = true},
    {.name = "max-age", .what = "max age", .rule = AGE},
    {.name = "stream-max-segment-size-bytes", .what = "segment size", .rule = INTEGER},
    {.name = "stream-filter-size-bytes", .what = "filter size", .rule = INTEGER},
    {.name = "queue-leader-locator", .what = "queue leader locator value", .rule = WORD, .words = locators},
    {.name = "initial-cluster-size", .what = "cluster size", .rule = INTEGER, .low = 1},
    {.name = "target-group-size", .what = "target group size", .rule = INTEGER, .low = 1, .is_operators = true},
    {.name = "member-placement-tag", .rule = ANY},
    {.name = "max-in-memory-length", .what = "maximum memory length", .rule = INTEGER, .is_operators = true},
    {.name = "max-in-memory-bytes", .what = "maximum memory in bytes", .rule = INTEGER, .is_operators = true},
    {.name = "queue-mode", .what = "queue-mode value", .rule = WORD, .words = modes},
    {.name = "queue-version", .what = "queue version", .rule = INTEGER, .low = 1, .is_operators = true},
    {.name = "alternate-exchange", .what = "alternate exchange name", .rule = TEXT},
    {.name = "federation-upstream", .what = "federation upstream name", .rule = TEXT},
    {.name = "federation-upstream-set", .what = "federation upstream set name", .rule = TEXT},
    {.name = "federation-upstream-pattern", .what = "federation upstream pattern", .rule = TEXT},
    {.name = "delayed-message", .what = "delayed-message value", .rule = BOOLEAN},
    /* Mirrored queues: accepted, because files have them. */
    {.name = "ha-mode", .rule = ANY},
    {.name = "ha-params", .rule = ANY},
    {.name = "ha-sync-mode", .rule = ANY},
    {.name = "ha-sync-batch-size", .rule = ANY},
    {.name = "ha-promote-on-shutdown", .rule = ANY},
    {.name = "ha-promote-on-failure", .rule = ANY},
    {.name = "queue-master-locator", .rule = ANY},
};

static const struct key *key_find(const char *name, bool is_operator)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].name, name) == 0)
            return is_operator && !keys[i].is_operators ? NULL : &keys[i];
    return NULL;
}

char *policy_print(const json_t *value)
{
    if (value == NULL)
        return str_copy(BYTES("undefined"));
    if (json_is_string(value)) {
        struct bytes text = json_text(value);
        if (text.len > PRINT_MAX)
            text.len = PRINT_MAX;
        return str_format("<<\"%.*s\">>", BYTES_ARG(text));
    }
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char *text = str_format("%.*s", PRINT_MAX, dumped != NULL ? dumped : "?");
    free(dumped);
    return text;
}

static bool is_among(struct bytes word, const char *const *words)
{
    while (*words != NULL && !bytes_equal(word, bytes_of_string(*words)))
        words++;
    return *words != NULL;
}

static bool fits(const struct key *k, const json_t *value)
{
    uint64_t ms;
    switch (k->rule) {
    case INTEGER:
        return json_is_integer(value) && json_integer_value(value) >= k->low;
    case TEXT:
        return json_is_string(value);
    case KEY:
        return json_is_string(value) && json_text(value).len <= ROUTING_KEY_MAX;
    case WORD:
        return json_is_string(value) && is_among(json_text(value), k->words);
    case BOOLEAN:
        return json_is_boolean(value);
    case AGE:
        return json_is_string(value) && duration_read(json_text(value), &ms);
    case ANY:
        break;
    }
    return true;
}

/* Writes "WHAT VALUE WHAT", and frees the value's text. */
static char *said(const char *before, char *value, const char *after)
{
    char *text = str_format("%s%s%s", before, value, after);
    free(value);
    return text;
}

static char *check_definition(json_t *definition, bool is_operator)
{
    const char *name;
    json_t *value;
    if (!json_is_object(definition))
        return said("definition should be an object, actually was ", policy_print(definition), "");
    if (json_object_size(definition) == 0)
        return str_copy(BYTES("no policy provided"));
    json_object_foreach(definition, name, value)
    {
        if (key_find(name, is_operator) != NULL)
            continue;
        char *before = str_format("[{<<\"%s\">>,", name);
        char *text = said(before, policy_print(value), "}] are not recognised policy settings");
        free(before);
        return text;
    }
    json_object_foreach(definition, name, value)
    {
        const struct key *k = key_find(name, is_operator);
        if (k == NULL || fits(k, value))
            continue;
        char *after = str_format(" is not a valid %s", k->what);
        char *text = said("", policy_print(value), after);
        free(after);
        return text;
    }
    return NULL;
}

static char *check_pattern(const json_t *pattern)
{
    if (!json_is_string(pattern))
        return said("pattern should be text, actually was ", policy_print(pattern), "");
    char *why = NULL;
    struct pattern *p = pattern_create(json_text(pattern), &why);
    pattern_destroy(p);
    return p != NULL ? NULL : said("pattern should be regular expression but is invalid: ", why, "");
}

static char *check_apply_to(const json_t *word)
{
    static const char *const words[] = {"all",           "queues",  "exchanges", "classic_queues",
                                        "quorum_queues", "streams", NULL};
    if (word == NULL)
        return NULL;
    if (!json_is_string(word))
        return said("apply-to should be text, actually was ", policy_print(word), "");
    if (is_among(json_text(word), words))
        return NULL;
    return str_format("apply-to '%.*s' unrecognised; should be 'queues', 'exchanges' or 'all'",
                      BYTES_ARG(json_text(word)));
}

char *policy_check(const json_t *value, bool is_operator)
{
    if (!json_is_object(value))
        return said("a policy should be an object, actually was ", policy_print(value), "");
    const json_t *priority = json_object_get(value, "priority");
    char *wrong = check_pattern(json_object_get(value, "pattern"));
    if (wrong == NULL)
        wrong = check_apply_to(json_object_get(value, "apply-to"));
    if (wrong == NULL && priority != NULL && !json_is_integer(priority))
        wrong = said("priority should be a number, actually was ", policy_print(priority), "");
    return wrong != NULL ? wrong : check_definition(json_object_get(value, "definition"), is_operator);
}

static const char *const limits[] = {"max-connections",
                                     "max-queues",
                                     "max-channels",
                                     "max-exchanges",
                                     "max-bindings",
                                     "max-queue-bytes",
                                     "max-publish-rate",
                                     "max-publish-bytes-rate",
                                     NULL};

char *policy_check_limits(const json_t *value)
{
    if (!json_is_object(value))
        return said("limits should be an object, actually was ", policy_print(value), "");
    for (const char *const *name = limits; *name != NULL; name++) {
        const json_t *limit = json_object_get(value, *name);
        if (limit == NULL || json_is_integer(limit))
            continue;
        char *before = str_format("%s should be a number, actually was ", *name);
        char *text = said(before, policy_print(limit), "");
        free(before);
        return text;
    }
    return NULL;
}

char *policy_find_unknown_limit(json_t *value)
{
    const char *name;
    json_t *limit;
    json_object_foreach(value, name, limit)
    {
        if (is_among(bytes_of_string(name), limits))
            continue;
        char *before = str_format("Unrecognised terms [{<<\"%s\">>,", name);
        char *text = said(before, policy_print(limit), "}] in limits");
        free(before);
        return text;
    }
    return NULL;
}
