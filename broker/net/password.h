/* Passwords, kept as RabbitMQ's definitions files keep them (reference operations 2.5):
 *
 *     hashing_algorithm   rabbit_password_hashing_sha256 (also when empty), _sha512 or _md5
 *     password_hash       base64(salt[4] || H(salt || password)), or "": no password logs in
 *
 * What a check takes depends on the algorithm and on the length of the password that came, and on nothing that whoever
 * sent it does not know: whether the user exists, has a password, or how much of it was right.  A user whose algorithm
 * is not the default takes another time than one who does not exist; that difference is far below what a failed login
 * waits anyway (broker/net/throttle.h), and the default is what new users get.
 *
 * No state: any thread.
 */
#ifndef BROKER_NET_PASSWORD_H
#define BROKER_NET_PASSWORD_H

#include <stdbool.h>

#include "base/bytes.h"

enum {
    PASSWORD_BYTES_MAX = 8192, /* longer ones never match */
    PASSWORD_HASH_TEXT_MAX = 92
};

/* Does password belong to hash?  An empty or malformed hash, an unknown algorithm, an empty password or one that is too
 * long never match, and take as long as one that could have. */
bool password_check(struct bytes algorithm, struct bytes hash, struct bytes password);

/* For users that do not exist: takes as long as a check with the default algorithm. */
void password_waste(struct bytes password);

/* Is the algorithm known, and hash the very text that it writes, or empty? */
bool password_is_hash(struct bytes algorithm, struct bytes hash);

/* A hash with a salt of its own, to be freed.  NULL: the algorithm is unknown, or the password such as never matches.
 */
char *password_make_hash(struct bytes algorithm, struct bytes password);
#endif
