/* Paths of the HTTP API: "/api/queues/%2F/a%20queue". */
#ifndef BROKER_CTL_PATH_H
#define BROKER_CTL_PATH_H

/* "/api" and its segments: each is one name of any bytes, percent-encoded.  The caller gives it to free(). */
#define path_of(...) path_join((const char *const[]){__VA_ARGS__, NULL})

/* The same of a list that ends with NULL. */
char *path_join(const char *const *segments) __attribute__((malloc, returns_nonnull));

/* Adds "?name=value" or "&name=value" to a path; takes the path and answers the new one. */
char *path_query(char *path, const char *name, const char *value) __attribute__((returns_nonnull));
#endif
