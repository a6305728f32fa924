# program: sim-store
# file: broker/store/checkpoint.c
# what: a checkpoint does not wait for the journal
s/s->next\.is_written || s->durable_lsn < s->next\.lsn/s->next.is_written/
