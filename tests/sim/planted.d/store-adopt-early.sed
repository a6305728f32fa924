# program: sim-store
# file: broker/store/checkpoint.c
# what: a checkpoint that was found needs no sync
s/s->checkpoint = s->checkpoint_lsn = 0;/s->checkpoint = number, s->checkpoint_lsn = lsn;/
