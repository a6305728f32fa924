/* What the tools say: each thing is a JSON object, shown as one line of JSON or as one of words. */
#ifndef BROKER_TOOL_TEXT_H
#define BROKER_TOOL_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

/* A string; bytes that are not UTF-8 become \xNN. */
json_t *text_of(struct bytes b);

json_t *text_base64(struct bytes b);

/* Adds what `value` says to the object; both are as Jansson's json_object_set_new() wants them. */
void text_set(json_t *object, const char *key, json_t *value);
void text_set_number(json_t *object, const char *key, uint64_t value);

/* Prints the object and gives it back.  In words: its values behind `head`, "key=value", strings with quotes. */
void text_show(json_t *object, const char *head, bool is_json);

/* Prints each of an array's objects in words. */
void text_show_each(const json_t *list, const char *head);
#endif
