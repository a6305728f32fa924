# file: broker/model/queue.c
# what: an expired message gets no dead letter
s/queue_die(b, head, DEATH_EXPIRED)/entry_destroy(b, head)/
