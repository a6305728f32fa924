/* What a definition record says: a durable exchange, queue or binding as bytes, and back (record.h).
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
 * name and to_exchange, key, arguments); of a virtual host only its name counts.  Dead-letter names are not kept apart:
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

/* What a key names, as views into it: of a binding its destination.  False: nonsense. */
bool definition_read_key(enum definition_class what, struct bytes key, struct bytes *vhost, struct bytes *name);
#endif
