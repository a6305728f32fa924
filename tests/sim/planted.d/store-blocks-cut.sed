# program: sim-store
# file: broker/store/journal.c
# what: the last block that was written past the cache is not kept for the next time
s/size_t tail = s->direct >= 0 ? s->buffered % DISK_BLOCK : 0, whole/size_t tail = 0, whole/
