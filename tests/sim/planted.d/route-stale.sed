# file: broker/model/queue.c
# what: a remembered route outlives its queue
/^void queue_delete/,/^}/s/b->topology_version += !q->spec->hidden;//
