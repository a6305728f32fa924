# program: sim-store
# file: broker/store/recover.c
# what: what was recovered is not synced
s/^        g->is_dirty = true;.*//
