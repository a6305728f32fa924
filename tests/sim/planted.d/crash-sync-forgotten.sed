# file: broker/store/store.c
# program: sim-crash
# what: what was recovered is served before it is synced
/^enum store_verdict store_begin/,/^}/s/synced = sync_all(s);/synced = STORE_FINE;/
