# file: broker/model/consumer.c
# what: a consumer gets one more than its limit
s/c->out >= c->limit/c->out > c->limit/
