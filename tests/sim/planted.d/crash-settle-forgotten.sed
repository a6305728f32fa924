# file: broker/model/entry.c
# program: sim-crash
# what: the end of an entry is not recorded
s/^    remember_entry(b, RECORD_SETTLE, e);//
