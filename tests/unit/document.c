#include "tests/unit/document.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/census.h"
#include "tests/unit/unit.h"

const char document_small[] =
    "{\"rabbit_version\":\"3.10.8\",\"users\":[{\"name\":\"u\",\"password_hash\":\"\",\"hashing_algorithm\":"
    "\"rabbit_password_hashing_sha256\",\"tags\":[\"t\"],\"limits\":{\"max-channels\":1}}],"
    "\"vhosts\":[{\"name\":\"v\",\"metadata\":{\"description\":\"d\",\"tags\":[\"t\"]}}],"
    "\"permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"configure\":\"\",\"write\":\"\",\"read\":\".*\"}],"
    "\"topic_permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"exchange\":\"x\",\"write\":\"a\",\"read\":\"b\"}],"
    "\"parameters\":[{\"component\":\"c\",\"vhost\":\"v\",\"name\":\"n\",\"value\":1}],"
    "\"global_parameters\":[{\"name\":\"g\",\"value\":[1]}],"
    "\"policies\":[{\"vhost\":\"v\",\"name\":\"p\",\"pattern\":\"q\",\"apply-to\":\"all\",\"definition\":"
    "{\"expires\":1},\"priority\":0}],"
    "\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,\"auto_delete\":false,\"arguments\":{\"x-expires\":9}"
    "}],"
    "\"exchanges\":[{\"name\":\"x\",\"vhost\":\"v\",\"type\":\"direct\",\"durable\":true,\"auto_delete\":false,"
    "\"internal\":false,\"arguments\":{\"alternate-exchange\":\"y\"}}],"
    "\"bindings\":[{\"source\":\"x\",\"vhost\":\"v\",\"destination\":\"q\",\"destination_type\":\"queue\","
    "\"routing_key\":\"k\",\"arguments\":{}}]}";

struct changes *document_read_for(struct bytes text, const struct bytes *vhost, const struct definitions_options *o)
{
    char *error = NULL;
    struct changes *c = definitions_read(text, vhost, o, &error);
    if (c == NULL)
        fail_msg("%.200s: %s", (const char *)text.at, error);
    assert_null(error);
    return c;
}

struct changes *document_read(const char *text)
{
    return document_read_for(bytes_of_string(text), NULL, NULL);
}

void document_refused_for(struct bytes text, const struct definitions_options *o, const char *part)
{
    char *error = NULL;
    struct changes *c = definitions_read(text, NULL, o, &error);
    if (c != NULL)
        fail_msg("not refused: %.300s", (const char *)text.at);
    assert_non_null(error);
    if (strstr(error, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, error);
    free(error);
}

void document_refused(const char *text, const char *part)
{
    document_refused_for(bytes_of_string(text), NULL, part);
}

/* Carries them out; all of them must be possible. */
struct changes *document_make(struct broker *b, struct changes *c)
{
    char *why;
    c = census_alter(b, c, &why);
    if (why != NULL)
        fail_msg("refused: %s", why);
    return c;
}

size_t document_count(const struct changes *c, enum change_outcome outcome)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->at[i].outcome == outcome;
    return n;
}
