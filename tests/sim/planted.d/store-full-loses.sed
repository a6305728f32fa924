# program: sim-store
# file: broker/store/append.c
# what: what does not fit is passed by
s/^            if (v != STORE_FINE)$/            if (v == STORE_FULL \&\& r->kind == RECORD_SETTLE) v = STORE_FINE;\n&/
