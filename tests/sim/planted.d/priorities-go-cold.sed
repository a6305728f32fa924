# file: broker/model/cold.c
# what: a queue with priorities leaves memory, and its head is not known
# program: sim-crash
s/    if (q->ready.levels != NULL)/    if (q->ready.levels == NULL \&\& b == NULL)/
