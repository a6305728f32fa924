#include "broker/admin/credential.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pattern.h"
#include "base/str.h"

struct credential {
    uint64_t min_length;     /* characters; 0: any */
    struct pattern *pattern; /* owned; NULL: any */
};

struct credential *credential_create(const char *backend, uint64_t min_length, const char *regexp, char **error)
{
    static const char prefix[] = "rabbit_credential_validator_";
    const char *word = strncmp(backend, prefix, sizeof prefix - 1) == 0 ? backend + sizeof prefix - 1 : "";
    bool is_pattern = strcmp(word, "password_regexp") == 0, is_length = strcmp(word, "min_password_length") == 0;
    if (!is_pattern && !is_length && strcmp(word, "accept_everything") != 0) {
        *error = str_format("there is no validator '%s'; there are %saccept_everything, %smin_password_length and "
                            "%spassword_regexp",
                            backend, prefix, prefix, prefix);
        return NULL;
    }
    struct pattern *pattern = NULL;
    if (is_pattern) {
        char *why = NULL;
        pattern = pattern_create(bytes_of_string(regexp != NULL ? regexp : ""), &why);
        if (pattern == NULL) {
            *error = str_format("the regular expression for passwords: %s", why);
            free(why);
            return NULL;
        }
    }
    struct credential *c = alloc(sizeof *c);
    *c = (struct credential){.min_length = is_length ? min_length : 0, .pattern = pattern};
    return c;
}

void credential_destroy(struct credential *c)
{
    if (c == NULL)
        return;
    pattern_destroy(c->pattern);
    free(c);
}

/* Of UTF-8: bytes that begin one. */
static uint64_t characters(struct bytes text)
{
    enum { KIND = 0xc0, CONTINUATION = 0x80 };
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += (text.at[i] & KIND) != CONTINUATION;
    return n;
}

char *credential_refuse(struct credential *c, struct bytes password)
{
    if (c == NULL)
        return NULL;
    if (characters(password) < c->min_length)
        return str_format("minimum required password length: %" PRIu64, c->min_length);
    if (c->pattern != NULL && pattern_match(c->pattern, password) != PATTERN_MATCHES)
        return str_copy(BYTES("provided password does not match the validator regular expression"));
    return NULL;
}
