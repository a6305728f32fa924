# file: broker/model/remember.c
# program: sim-crash
# what: the records of a transaction count one by one
s/^    b->is_in_tx = b->records;/    b->is_in_tx = false;/
