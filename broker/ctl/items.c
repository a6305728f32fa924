#include "broker/ctl/items.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void items_init(struct items *i, size_t limit, items_each_fn *each, void *arg)
{
    *i = (struct items){.limit = limit, .each = each, .arg = arg};
}

void items_fini(struct items *i)
{
    free(i->at);
    i->at = NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool keep(struct items *i, char c)
{
    if (i->len == i->limit)
        return false;
    if (i->len == i->room) {
        i->room = alloc_grown(i->room, i->len + 1);
        i->at = alloc_array(i->at, i->room, 1);
    }
    i->at[i->len++] = c;
    return true;
}

static bool end_item(struct items *i)
{
    bool goes_on = i->len == 0 || i->each(i->at, i->len, i->arg);
    i->len = 0;
    return goes_on;
}

/* Within the array. */
static bool take(struct items *i, char c)
{
    if (i->is_in_string) {
        i->is_in_string = i->is_escaped || c != '"';
        i->is_escaped = !i->is_escaped && c == '\\';
        return keep(i, c);
    }
    if (i->depth == 0 && is_space(c))
        return true;
    if (i->depth == 0 && (c == ',' || c == ']')) {
        i->is_over = c == ']';
        return end_item(i);
    }
    i->is_in_string = c == '"';
    if (c == '[' || c == '{')
        i->depth++;
    if ((c == ']' || c == '}') && i->depth > 0)
        i->depth--;
    return keep(i, c);
}

/* Before the array: in an envelope, depth counts its brackets, and the name before a value is what was kept last. */
static bool look(struct items *i, char c)
{
    if (i->is_in_string) {
        i->is_in_string = i->is_escaped || c != '"';
        i->is_escaped = !i->is_escaped && c == '\\';
        return !i->is_in_string || i->len >= sizeof "items" || keep(i, c);
    }
    if (c == '[' && (i->depth == 0 || (i->depth == 1 && i->len == 5 && memcmp(i->at, "items", 5) == 0))) {
        i->has_begun = true;
        i->depth = 0;
        i->len = 0;
    } else if (c == '[' || c == '{') {
        i->depth++;
    } else if (c == ']' || c == '}') {
        if (i->depth == 0 || --i->depth == 0)
            return false; /* it ends, and there was none */
    } else if (c == '"') {
        i->is_in_string = true;
        i->len = 0;
    } else if (c == ',') {
        i->len = 0;
    } else if (i->depth == 0 && !is_space(c)) {
        return false;
    }
    return true;
}

bool items_feed(struct items *i, const char *bytes, size_t n)
{
    for (size_t at = 0; at < n && !i->is_over && !i->is_broken; at++)
        i->is_broken = !(i->has_begun ? take(i, bytes[at]) : look(i, bytes[at]));
    return !i->is_broken;
}

bool items_is_whole(const struct items *i)
{
    return i->is_over && !i->is_broken;
}
