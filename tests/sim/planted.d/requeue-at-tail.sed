# file: broker/model/queue.c
# what: a requeued message goes to the end of its queue
/^void queue_settle/,/^}/{
s/e->state = ENTRY_RETURNED;/e->state = ENTRY_READY;/
s/heap_node_init(&e->in_returned);/e->position = q->next_position++;/
s/heap_add(&q->returned, &e->in_returned, e->position);/list_append(\&q->ready, \&e->in_queue);/
}
