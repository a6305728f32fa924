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
    return v == NULL || (v->tags & (1U << TAG_MONITORING)) != 0 || visitor_may_enter(v, vhost);
}

void visitor_destroy(struct visitor *v)
{
    if (v == NULL)
        return;
    json_decref(v->tag_list);
    json_decref(v->rights);
    free(v);
}
