#include "broker/admin/look.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/admin/request.h"

/* A number, and nothing else; else it is ignored. */
static bool read_integer(const struct request *r, const char *what, const char *part, long *value)
{
    enum { DECIMAL = 10, NAME_MAX_BYTES = 32 };
    char name[NAME_MAX_BYTES], *end;
    snprintf(name, sizeof name, "%s_%s", what, part);
    const char *text = request_query(r, name);
    if (text == NULL || (!isdigit((unsigned char)*text) && *text != '-'))
        return false;
    errno = 0;
    *value = strtol(text, &end, DECIMAL);
    return *end == '\0' && errno == 0;
}

static bool read_range(struct request *r, const char *what, struct rates_range *to)
{
    long age, incr;
    if (!read_integer(r, what, "age", &age) || !read_integer(r, what, "incr", &incr))
        return true;
    if (age <= 0 || incr <= 0 || age > INT32_MAX || age / incr <= 0 || age / incr >= RATES_SAMPLES_MAX) {
        request_refuse(r, "Invalid range parameters: age %ld, incr %ld", age, incr);
        return false;
    }
    *to = (struct rates_range){(uint32_t)age, (uint32_t)incr};
    return true;
}

bool look_read(struct request *r)
{
    struct look *l = &r->look;
    l->is_short = request_query_flag(r, "disable_stats");
    l->has_totals = request_query_flag(r, "enable_queue_totals");
    return read_range(r, "lengths", &l->lengths) && read_range(r, "msg_rates", &l->msg_rates) &&
           read_range(r, "data_rates", &l->data_rates) && read_range(r, "node_stats", &l->node_stats);
}
