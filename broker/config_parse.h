/* The grammar of rabbitmq.conf (reference operations 3.2): text in, settings and complaints out.  Knows no keys. */
#ifndef BROKER_CONFIG_PARSE_H
#define BROKER_CONFIG_PARSE_H

#include "base/bytes.h"

/* Called for every "key = value".  Both are borrowed. */
typedef void config_setting_fn(void *arg, const char *origin, const char *key, const char *value);
/* Called for every "include path". */
typedef void config_include_fn(void *arg, const char *origin, const char *path);
/* Called for what is wrong: text is what follows "FILE:LINE: ". */
typedef void config_complaint_fn(void *arg, const char *origin, bool is_error, const char *text);

struct config_sink {
    config_setting_fn *setting;
    config_include_fn *include;
    config_complaint_fn *complaint;
    void *arg; /* for all three */
};

/* Reads a whole file's text; name is what complaints call it: "FILE:LINE" is every origin. */
void config_parse(const char *name, struct bytes text, const struct config_sink *sink);
#endif
