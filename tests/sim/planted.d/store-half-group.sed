# program: sim-store
# file: broker/store/recover.c
# what: a group without its end counts
s/r->end = r->last_batch + 1;/r->end = UINT64_MAX;/; s/r->end = r->gaps\[i\]\.batch + 1;/r->end = r->gaps[i].lsn;/; s/r->gaps\[i\]\.batch < r->end/r->gaps[i].lsn < r->end/
