#define _GNU_SOURCE
#include "broker/admin/form.h"

#include <string.h>
#include <strings.h>

enum { BOUNDARY_MAX = 70 };

bool form_is_one(const char *content_type)
{
    static const char type[] = "multipart/form-data";
    return content_type != NULL && strncasecmp(content_type, type, sizeof type - 1) == 0;
}

/* What stands between the parts, without the dashes before it; empty: it is not said. */
static struct bytes boundary_of(const char *content_type)
{
    static const char key[] = "boundary=";
    const char *at = strcasestr(content_type, key);
    if (at == NULL)
        return (struct bytes){0};
    at += sizeof key - 1;
    bool is_quoted = *at == '"';
    at += is_quoted;
    return bytes_of(at, strcspn(at, is_quoted ? "\"" : "; \t"));
}

/* Where a line begins that is two dashes and the boundary; NULL: nowhere. */
static const uint8_t *find_mark(struct bytes in, struct bytes boundary)
{
    for (size_t from = 0; from < in.len;) {
        const uint8_t *at = memmem(in.at + from, in.len - from, boundary.at, boundary.len);
        if (at == NULL)
            return NULL;
        size_t offset = (size_t)(at - in.at);
        bool is_mark = offset >= 2 && at[-1] == '-' && at[-2] == '-' && (offset == 2 || at[-3] == '\n');
        if (is_mark)
            return at - 2;
        from = offset + 1;
    }
    return NULL;
}

/* Does the part's head say this name? */
static bool has_name(struct bytes head, const char *name)
{
    static const char key[] = " name=\"";
    const uint8_t *at = memmem(head.at, head.len, key, sizeof key - 1);
    size_t len = strlen(name);
    if (at == NULL)
        return false;
    at += sizeof key - 1;
    size_t left = head.len - (size_t)(at - head.at);
    return left > len && memcmp(at, name, len) == 0 && at[len] == '"';
}

bool form_find(const char *content_type, struct bytes body, const char *name, struct bytes *content)
{
    struct bytes boundary = form_is_one(content_type) ? boundary_of(content_type) : (struct bytes){0};
    if (boundary.len == 0 || boundary.len > BOUNDARY_MAX)
        return false;
    const uint8_t *mark = find_mark(body, boundary), *end = body.at + body.len;
    for (int i = 0; mark != NULL && i < FORM_PARTS_MAX; i++) {
        const uint8_t *head = mark + 2 + boundary.len;
        const uint8_t *text = memmem(head, (size_t)(end - head), "\r\n\r\n", 4);
        if (text == NULL)
            return false;
        text += 4;
        const uint8_t *next = find_mark(bytes_of(text - 1, (size_t)(end - text) + 1), boundary);
        if (next == NULL)
            return false;
        if (has_name(bytes_of(head, (size_t)(text - head)), name)) {
            *content = bytes_of(text, next >= text + 2 ? (size_t)(next - text) - 2 : 0);
            return true;
        }
        mark = next;
    }
    return false;
}
