# program: sim-store
# file: broker/store/journal.c
# what: segments go before what emptied them is durable
s/g->dead_since_lsn > s->durable_lsn || //; s/file_doom(s, name, g->size, g->dead_since_lsn)/file_doom(s, name, g->size, 0)/
