/* Paths of the HTTP API: "/api/queues/%2F/a%20queue". */
#ifndef BROKER_CTL_PATH_H
#define BROKER_CTL_PATH_H

#include <stdbool.h>

/* "/api" and its segments: each is one name of any bytes, percent-encoded.  The caller gives it to free(). */
#define path_of(...) path_join((const char *const[]){__VA_ARGS__, NULL})

/* The same of a list that ends with NULL. */
char *path_join(const char *const *segments) __attribute__((malloc, returns_nonnull));

/* False: a segment is empty, which the API reads as another path, or as the virtual host "/". */
bool path_is_whole(const char *path);

/* Adds "?name=value" or "&name=value" to a path; takes the path and answers the new one. */
char *path_query(char *path, const char *name, const char *value) __attribute__((returns_nonnull));
#endif
