# file: broker/model/queue_ordinary.c
# what: a full queue drops what came last
/^static void queue_drop_head/,/^}/s/(head = queue_head(q)) != NULL/(head = list_is_empty(\&q->ready) ? queue_head(q) : item_of(q->ready.ring.prev, struct entry, in_queue)) != NULL/
