/* Paths of the HTTP API: "/api/queues/%2F/a%20queue". */
#ifndef BROKER_CTL_PATH_H
#define BROKER_CTL_PATH_H

/* "/api" and its segments, up to a NULL: each is one name of any bytes, percent-encoded.  The caller gives it to
 * free(). */
char *path_of(const char *first, ...) __attribute__((sentinel, malloc, returns_nonnull));

/* Adds "?name=value" or "&name=value" to a path; takes the path and answers the new one. */
char *path_query(char *path, const char *name, const char *value) __attribute__((returns_nonnull));
#endif
