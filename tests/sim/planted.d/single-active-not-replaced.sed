# file: broker/model/queue.c
# what: when the active consumer ends, nobody takes over
s/    if (q->active == c \&\& !q->gone)/    if (q->active == c \&\& q->gone)/
