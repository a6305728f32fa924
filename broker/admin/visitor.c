#include "broker/admin/visitor.h"

#include <stdlib.h>

#include "broker/admin/api.h"
#include "broker/admin/json.h"

bool visitor_may_enter(const struct visitor *v, struct bytes vhost)
{
    size_t i;
    json_t *right;
    if (v == NULL)
        return true;
    json_array_foreach(v->rights, i, right) if (bytes_equal(json_text_in(right, "vhost"), vhost)) return true;
    return false;
}

bool visitor_sees(const struct visitor *v, struct bytes vhost)
{
    return visitor_is(v, TAG_MONITORING) || visitor_may_enter(v, vhost);
}

bool visitor_owns(const struct visitor *v, struct bytes user)
{
    return visitor_is(v, TAG_MONITORING) || bytes_equal(user, v->name);
}

bool visitor_is(const struct visitor *v, unsigned tag)
{
    return v == NULL || (v->tags & (1U << tag)) != 0;
}

void visitor_destroy(struct visitor *v)
{
    if (v == NULL)
        return;
    json_decref(v->tag_list);
    json_decref(v->rights);
    free(v);
}
