# file: broker/model/queue_ordinary.c
# what: a queue refuses one message too early
s/return count + 1 <= o->max_length/return count + 1 < o->max_length/
