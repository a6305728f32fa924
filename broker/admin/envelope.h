/* Messages as the API shows and takes them (reference operations 1.9.11): properties as an object, payloads as text, or
 * in base64 what is no text.
 */
#ifndef BROKER_ADMIN_ENVELOPE_H
#define BROKER_ADMIN_ENVELOPE_H

#include <jansson.h>

#include "base/bytes.h"

enum { ENVELOPE_PROPERTIES_MAX = 128 << 10 }; /* bytes, encoded: they go in one frame */

/* Properties, as codec/properties.h encodes them, as an object; the caller owns it. */
json_t *envelope_properties(struct bytes encoded);

/* Sets payload and payload_encoding, "string" or "base64", the latter whatever it is with envelope_set_base64(). */
void envelope_set_payload(json_t *to, struct bytes payload);
void envelope_set_base64(json_t *to, struct bytes payload);

/* The other way: members that are no properties mean nothing.  Into memory of its own, which the caller gives to
 * free(); *encoded views it.  NULL: *why says what is wrong, which the caller frees. */
void *envelope_read_properties(const json_t *properties, struct bytes *encoded, char **why);

/* What a text in base64 stands for, which the caller gives to free(); NULL: it is no such text. */
uint8_t *envelope_decode(struct bytes text, size_t *len);
#endif
