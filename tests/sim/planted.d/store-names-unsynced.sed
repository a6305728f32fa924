# program: sim-store
# file: broker/store/recover.c
# what: the names of the process before are not synced
s/^    s->names_changed = true; \/\* by.*//
