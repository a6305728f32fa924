# program: sim-store
# file: broker/store/pack.c
# what: a chunk is in force before its pack is synced
s/while (s->pending != NULL && s->pending->serial != 0 && s->pending->serial <= s->synced_serial)/while (s->pending != NULL)/
