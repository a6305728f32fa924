#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/pattern.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"

struct pattern {
    pcre2_code *code;         /* owned */
    pcre2_match_data *match;  /* owned */
    pcre2_match_context *how; /* owned */
    unsigned steps_left;      /* of the match under way */
};

/* PCRE2 counts anew wherever in the subject it begins, which makes its own limit a square: so we count. */
static int on_step(pcre2_callout_block *block, void *steps_left)
{
    unsigned *left = steps_left;
    (void)block;
    if (*left == 0)
        return PCRE2_ERROR_CALLOUT;
    --*left;
    return 0;
}

/* By bytes, as in RabbitMQ; $ is the very end, so that "^a$" does not let "a\n" in.  Interpreted: compiled code would
 * need memory that can be written and executed, which a sandbox forbids. */
static pcre2_code *compile(struct bytes text, char **error)
{
    int code;
    PCRE2_SIZE at;
    struct bytes meant = text.len == 0 ? BYTES("^$") : text;
    pcre2_code *compiled = pcre2_compile(
        meant.at, meant.len, PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY | PCRE2_AUTO_CALLOUT, &code, &at, NULL);
    if (compiled == NULL) {
        PCRE2_UCHAR why[256];
        pcre2_get_error_message(code, why, sizeof why);
        *error = str_format("%s at offset %zu", (const char *)why, (size_t)at);
    }
    return compiled;
}

struct pattern *pattern_create(struct bytes text, char **error)
{
    if (text.len > PATTERN_BYTES_MAX) {
        *error = str_format("longer than %d bytes", PATTERN_BYTES_MAX);
        return NULL;
    }
    pcre2_code *code = compile(text, error);
    if (code == NULL)
        return NULL;
    struct pattern *p = alloc_zeroed(sizeof *p);
    p->code = code;
    p->match = pcre2_match_data_create(1, NULL);
    p->how = pcre2_match_context_create(NULL);
    if (p->match == NULL || p->how == NULL)
        abort(); /* as alloc() does */
    pcre2_set_callout(p->how, on_step, &p->steps_left);
    pcre2_set_match_limit(p->how, PATTERN_DEPTH_MAX);
    pcre2_set_depth_limit(p->how, PATTERN_DEPTH_MAX);
    pcre2_set_heap_limit(p->how, PATTERN_HEAP_KIB_MAX);
    return p;
}

void pattern_destroy(struct pattern *p)
{
    if (p == NULL)
        return;
    pcre2_match_context_free(p->how);
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->code);
    free(p);
}

enum pattern_match pattern_match(struct pattern *p, struct bytes subject)
{
    return pattern_match_within(p, subject, PATTERN_STEPS_MAX);
}

enum pattern_match pattern_match_within(struct pattern *p, struct bytes subject, unsigned steps)
{
    p->steps_left = steps;
    const uint8_t *at = subject.len == 0 ? (const uint8_t *)"" : subject.at;
    int n = pcre2_match(p->code, at, subject.len, 0, 0, p->match, p->how);
    return n >= 0 ? PATTERN_MATCHES : n == PCRE2_ERROR_NOMATCH ? PATTERN_DOES_NOT : PATTERN_FAILED;
}
