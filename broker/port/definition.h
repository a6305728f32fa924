/* What a definition record says: anything that outlives the broker, as bytes, and back (record.h).
 *
 * Which members of a spec count, and what its arguments, a field table, hold (reference operations 2.2; keys that are
 * not named here are kept and mean nothing):
 *
 *   VHOST             name.  description S, tags A of S, default_queue_type S
 *   EXCHANGE          vhost, name, type, flags, arguments as declared
 *   QUEUE             vhost, name, flags, arguments as declared, options
 *   BINDING           vhost, source, name and to_exchange, key, arguments as declared
 *   USER              name.  password_hash S (base64 text), hashing_algorithm S, tags A of S,
 *                     limits F: max-connections, max-channels, max-publish-rate, max-publish-bytes-rate,
 *                     integers; negative: none
 *   PERMISSION        vhost, name: the user.  configure S, write S, read S: patterns
 *   TOPIC_PERMISSION  vhost, name: the user, key: the exchange.  write S, read S
 *   PARAMETER         vhost (empty: a global one, whose type is empty), type: the component, name.  value: anything.
 *                     Policies have the component "policy", operator policies "operator_policy", both with the value
 *                     F: pattern S, definition F, priority integer, apply-to S; the limits of a virtual host
 *                     "vhost-limits" and the name "limits": max-connections, max-queues, max-exchanges, max-bindings,
 *                     max-queue-bytes, max-publish-rate, max-publish-bytes-rate, integers
 *                     A queue that is paused: the component "paused-queue", the queue's name, the value true
 *
 * The key names the object among those of its class: its virtual host and name; of a binding all that makes it one. The
 * value is a version and everything that is needed to make it again.  Text is length-prefixed, numbers are big-endian.
 */
#ifndef BROKER_PORT_DEFINITION_H
#define BROKER_PORT_DEFINITION_H

#include "base/bytes.h"
#include "broker/port/record.h"
#include "broker/port/spec.h"

enum { DEFINITION_VERSION = 1, DEFINITION_NAME_MAX = 255 };

/* Says what spec says: an exchange, or a queue of that number (name, flags, arguments, options), or a binding (source,
 * name and to_exchange, key, arguments); the vhost that counts is the argument.  Dead-letter names are not kept apart:
 * they are in the arguments.  The caller owns it. */
struct definition *definition_define(enum definition_class what, uint64_t queue, struct bytes vhost,
                                     const struct spec *spec);

/* The same thing is not there any more: key alone. */
struct definition *definition_undefine(enum definition_class what, uint64_t queue, struct bytes vhost,
                                       const struct spec *spec);

/* Reads a value back; key must be the one that goes with it.  The caller owns the spec and gives it to free(); *vhost
 * is a view into value.  NULL: nonsense, or of another version. */
struct spec *definition_read_spec(enum definition_class what, struct bytes key, struct bytes value,
                                  struct bytes *vhost);

/* A part of a stream's log that is closed (broker/model/log.h): PART, which no spec says.  Its key is the queue's
 * number and the first offset, eight bytes each; its value a version and the rest. */
struct definition_part {
    uint64_t queue, first, count, bytes, size, last_ms;
};

/* The caller owns it; without a value it is one to undefine it. */
struct definition *definition_of_part(const struct definition_part *d, bool with_value);
bool definition_read_part(uint64_t queue, struct bytes key, struct bytes value, struct definition_part *out);

/* How far the reader of a stream with this tag has read: BOOKMARK, likewise.  Its key is the queue's number and the
 * tag, its value a version and the next offset. */
struct definition *definition_of_bookmark(uint64_t queue, struct bytes tag, uint64_t next, bool with_value);
bool definition_read_bookmark(uint64_t queue, struct bytes key, struct bytes value, struct bytes *tag, uint64_t *next);

/* "vhost", "exchange", "topic permission", …: for people. */
const char *definition_word(enum definition_class what);

/* What a key names, as views into it: of a binding its destination.  False: nonsense. */
bool definition_read_key(enum definition_class what, struct bytes key, struct bytes *vhost, struct bytes *name);
#endif
