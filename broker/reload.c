#include "broker/reload.h"

#include <string.h>

#include "base/log.h"
#include "broker/arguments.h"
#include "broker/config.h"
#include "broker/logging.h"

static bool has_mistakes(const struct config *c)
{
    size_t n;
    const struct config_complaint *all = config_complaints(c, &n);
    for (size_t i = 0; i < n; i++)
        if (all[i].is_error)
            log_error("main", "%s", all[i].text);
    return config_errors(c) > 0;
}

static bool is_live(enum config_id id)
{
    static const enum config_id live[] = {KEY_CONNECTION_MAX,     KEY_CONSUMER_TIMEOUT,    KEY_WATERMARK_RELATIVE,
                                          KEY_WATERMARK_ABSOLUTE, KEY_DISK_LIMIT_ABSOLUTE, KEY_DISK_LIMIT_RELATIVE};
    for (size_t i = 0; i < sizeof live / sizeof live[0]; i++)
        if (live[i] == id)
            return true;
    return logging_is_level(id);
}

static void on_change(void *arg, const struct config_key *key, const char *name)
{
    (void)arg;
    if (!is_live(key->id))
        log_notice("main", "'%s' was changed, which takes effect with the next start", name);
}

void reload_configuration(const struct arguments *a, const struct config *now, reload_apply_fn *apply, void *arg)
{
    struct config *c = config_create();
    arguments_configure(a, c);
    if (has_mistakes(c)) {
        log_error("main", "the configuration was not reloaded: what is in force stays");
    } else {
        logging_set_levels(c);
        apply(arg, c);
        config_each_change(now, c, on_change, NULL);
    }
    config_destroy(c);
}
