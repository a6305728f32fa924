# file: amqp/settle.c
# what: a reject requeues
s/m->basic_reject\.requeue ? REQUEUED : REJECTED/m->basic_reject.requeue ? REQUEUED : REQUEUED/
