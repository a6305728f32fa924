# file: broker/model/cmd_publish.c
# program: sim-crash
# what: tx.commit-ok does not wait for the record that ends the transaction
s/^    b->changed = remember_tx_end(b);/    remember_tx_end(b);/
