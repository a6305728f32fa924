# program: sim-store
# file: broker/store/pack.c
# what: packs go before what emptied them is durable
s/p->dead_since_lsn > s->durable_lsn || //; s/file_doom(s, name, p->size, p->dead_since_lsn)/file_doom(s, name, p->size, 0)/
