#define _GNU_SOURCE
#include "broker/ctl/path.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct text {
    char *at; /* owned */
    size_t len, room;
};

static void add(struct text *t, const char *bytes, size_t n)
{
    if (t->len + n + 1 > t->room) {
        t->room = alloc_grown(t->room, t->len + n + 1);
        t->at = alloc_array(t->at, t->room, 1);
    }
    memcpy(t->at + t->len, bytes, n);
    t->len += n;
    t->at[t->len] = '\0';
}

/* What RFC 3986 calls unreserved. */
static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* A name of "." or ".." is encoded: a client may take such a segment for a folder. */
static void add_encoded(struct text *t, const char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    bool is_dots = strcmp(s, ".") == 0 || strcmp(s, "..") == 0;
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (is_plain(c) && !is_dots) {
            add(t, s, 1);
        } else {
            char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
            add(t, escape, sizeof escape);
        }
    }
}

char *path_join(const char *const *segments)
{
    struct text t = {0};
    add(&t, "/api", 4);
    for (; *segments != NULL; segments++) {
        add(&t, "/", 1);
        add_encoded(&t, *segments);
    }
    return t.at;
}

bool path_is_whole(const char *path)
{
    size_t len = strcspn(path, "?");
    return len > 0 && path[len - 1] != '/' && memmem(path, len, "//", 2) == NULL;
}

char *path_query(char *path, const char *name, const char *value)
{
    struct text t = {0};
    add(&t, path, strlen(path));
    add(&t, strchr(path, '?') == NULL ? "?" : "&", 1);
    free(path);
    add_encoded(&t, name);
    add(&t, "=", 1);
    add_encoded(&t, value);
    return t.at;
}
