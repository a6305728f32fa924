/* What the words behind = mean (reference operations 3.2). */
#ifndef BROKER_CONFIG_VALUE_H
#define BROKER_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config_keys.h"

struct config_value {
    uint64_t
        number; /* INTEGER, LIMIT (0: infinity), BOOLEAN, SIZE, BYTES, LEVEL (enum log_level), words (their number) */
    double fraction; /* FRACTION */
};

/* False if text is no value of the key; expected then says what is one: "integer 0..65535". */
bool config_value_parse(const struct config_key *key, const char *text, struct config_value *value, char *expected,
                        size_t size);
#endif
