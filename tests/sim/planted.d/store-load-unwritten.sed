# program: sim-store
# file: broker/store/append.c
# what: loads are answered while the buffer is not written
s/v == STORE_FAILED || !journal_is_flushed(s)/v == STORE_FAILED/
