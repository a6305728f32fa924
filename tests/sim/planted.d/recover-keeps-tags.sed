# file: amqp/settle.c
# what: what was on its way during a recover keeps its tag
/^void settle_on_recovered/,/^}/s/unacked_clear(c->unacked);/(void)c;/
