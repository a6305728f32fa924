/* A message as JSON, with its properties and headers decoded. */
#ifndef BROKER_TOOL_MESSAGE_JSON_H
#define BROKER_TOOL_MESSAGE_JSON_H

#include <jansson.h>

#include "base/bytes.h"

struct message;

/* Names and properties, not the body.  A header's value is what JSON has for it; else an object that says its type:
 * {"timestamp": s}, {"decimal": [scale, digits]}, {"base64": …} for bytes, and for strings that are not UTF-8. */
json_t *message_json(const struct message *m);

/* A checked table as an object, without recursion. */
json_t *table_json(struct bytes table);
#endif
