#include "broker/store/need.h"

#include "broker/store/format.h"

static void need_record(struct need *n, const struct record *r)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_PUBLISH:
        n->bytes += item_size(MESSAGE_META_MAX + (size_t)r->places * PLACE_META_MAX, message_item_body_size(r->msg));
        n->publishes = true;
        break;
    case RECORD_DEFINE:
    case RECORD_UNDEFINE:
        n->bytes += item_size(definition_size(r->definition), 0);
        n->drops |= r->kind == RECORD_UNDEFINE;
        break;
    case RECORD_PURGE:
    case RECORD_TRIM:
    case RECORD_SETTLE:
    case RECORD_DELIVER:
    case RECORD_RETURN:
    case RECORD_COMMIT:
        n->bytes += item_size(RUN_BYTES_MAX, 0);
        n->drops |= r->kind == RECORD_PURGE || r->kind == RECORD_TRIM;
        break;
    case RECORD_LOAD:
        break;
    }
}

struct need need_of(const struct sheaf *h, size_t i)
{
    struct need n = {0};
    bool is_over = false;
    for (; i < h->n && !is_over; i++) {
        need_record(&n, &h->records[i]);
        is_over = h->records[i].kind == RECORD_COMMIT;
    }
    return n;
}
