# file: broker/model/queue_ordinary.c
# what: an expired message gets no dead letter
s/queue_die(b, \([a-z]*\), DEATH_EXPIRED)/entry_end(b, \1)/
