# file: broker/model/restore.c
# program: sim-crash
# what: a queue that is declared after a restart gets the number of another
s/^    if (id > b->next_queue_id)/    if (id > b->next_queue_id \&\& id == UINT64_MAX)/
