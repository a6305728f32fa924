# file: broker/model/queue_ordinary.c
# what: requeued messages come in the order of their return
s/^    ready_return(&q->ready, e);/    e->position = q->next_position++;\n&/
