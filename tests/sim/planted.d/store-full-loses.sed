# program: sim-store
# file: broker/store/append.c
# what: what does not fit is passed by
/^static enum store_verdict put_next/,/^}/s/^    stick(s, h, r, places);/    (void)0;/
