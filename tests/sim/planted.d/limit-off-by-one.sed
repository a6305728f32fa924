# file: broker/model/queue_ordinary.c
# what: a queue holds one more than its limit
s/return q->ready_count > o->max_length ||/return (q->ready_count > o->max_length \&\& q->ready_count - 1 > o->max_length) ||/
