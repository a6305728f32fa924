#include "amqp/sasl.h"

#include "amqp/session.h"
#include "codec/table.h"

enum { RESPONSE_DEPTH_MAX = 32 }; /* reliability C2 */

/* Cuts a NUL and what follows it up to the next one. */
static bool take_part(struct bytes *rest, struct bytes *part)
{
    if (rest->len == 0 || rest->at[0] != 0)
        return false;
    const uint8_t *from = rest->at + 1;
    size_t left = rest->len - 1;
    const uint8_t *end = left == 0 ? NULL : memchr(from, 0, left);
    size_t len = end == NULL ? left : (size_t)(end - from);
    *part = bytes_of(from, len);
    *rest = bytes_of(from + len, left - len);
    return true;
}

static enum sasl_verdict read_plain(struct bytes response, struct bytes *user, struct bytes *password)
{
    if (!take_part(&response, user) || !take_part(&response, password) || response.len > 0)
        return SASL_MALFORMED;
    return SASL_OK;
}

/* A table without its length. */
static enum sasl_verdict read_amqplain(struct bytes response, struct bytes *user, struct bytes *password)
{
    struct field login, pass;
    if (!table_check(response, RESPONSE_DEPTH_MAX) || !table_find(response, BYTES("LOGIN"), &login) ||
        !table_find(response, BYTES("PASSWORD"), &pass))
        return SASL_MALFORMED;
    if ((login.type != 'S' && login.type != 'x') || (pass.type != 'S' && pass.type != 'x'))
        return SASL_REFUSED;
    *user = login.bytes;
    *password = pass.bytes;
    return SASL_OK;
}

static const struct {
    enum session_mechanism mechanism;
    const char *name;
} mechanisms_by_name[] = {{SASL_PLAIN, "PLAIN"}, {SASL_AMQPLAIN, "AMQPLAIN"}, {SASL_EXTERNAL, "EXTERNAL"}};

enum { MECHANISMS = sizeof mechanisms_by_name / sizeof mechanisms_by_name[0] };

const char *sasl_offer(unsigned mechanisms, char to[SASL_OFFER_ROOM])
{
    struct pen p = pen_over(to, SASL_OFFER_ROOM - 1);
    for (size_t i = 0; i < MECHANISMS; i++) {
        if ((mechanisms & mechanisms_by_name[i].mechanism) == 0)
            continue;
        if (pen_written(&p).len > 0)
            pen_u8(&p, ' ');
        pen_bytes(&p, bytes_of_string(mechanisms_by_name[i].name));
    }
    *p.at = '\0';
    return to;
}

unsigned sasl_find(struct bytes name)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (bytes_equal(name, bytes_of_string(mechanisms_by_name[i].name)))
            return mechanisms_by_name[i].mechanism;
    return 0;
}

enum sasl_verdict sasl_read(unsigned mechanisms, struct bytes mechanism, struct bytes response, struct bytes *user,
                            struct bytes *password)
{
    enum sasl_verdict v = SASL_UNKNOWN;
    *user = *password = (struct bytes){0};
    switch (sasl_find(mechanism) & mechanisms) {
    case SASL_PLAIN:
        v = read_plain(response, user, password);
        break;
    case SASL_AMQPLAIN:
        v = read_amqplain(response, user, password);
        break;
    case SASL_EXTERNAL: /* who it is, the certificate says */
        return SASL_OK;
    default:
        break;
    }
    return v == SASL_OK && password->len == 0 ? SASL_REFUSED : v; /* an empty password never logs in */
}
