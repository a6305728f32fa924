# file: broker/model/queue.c
# what: requeued messages come in the order of their return
s/heap_node_init(&e->in_returned);/&\n        e->position = q->next_position++;/
