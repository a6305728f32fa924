# program: sim-store
# file: broker/store/recover.c
# what: the next life begins where the tail was cut
s/if (s->lsn < r->seen)/if (false)/
