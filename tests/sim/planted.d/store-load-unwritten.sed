# program: sim-store
# file: broker/store/append.c
# what: loads are answered while the buffer is not written
s/v == STORE_FAILED || s->buffered > 0/v == STORE_FAILED/
