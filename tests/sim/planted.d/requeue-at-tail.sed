# file: broker/model/queue_ordinary.c
# what: a requeued message goes to the end of its queue
s/^    ready_return(&q->ready, e);/    e->position = q->next_position++;\n    ready_append(\&q->ready, e);/
