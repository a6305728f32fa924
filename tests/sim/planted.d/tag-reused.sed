# file: amqp/deliver.c
# what: a delivery without acknowledgement takes no tag
s/uint64_t tag = ++c->last_tag;/uint64_t tag = e->delivered.no_ack ? c->last_tag : ++c->last_tag;/
