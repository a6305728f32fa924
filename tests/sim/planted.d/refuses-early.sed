# file: broker/model/queue.c
# what: a queue refuses one message too early
s/q->ready_count + 1 > o->max_length ||/q->ready_count + 1 >= o->max_length ||/
