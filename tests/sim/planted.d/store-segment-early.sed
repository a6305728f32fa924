# program: sim-store
# file: broker/store/journal.c
# what: segments go before a checkpoint covers them
s/g->last_lsn == 0 || g->last_lsn > s->checkpoint_lsn/g->last_lsn == 0/
