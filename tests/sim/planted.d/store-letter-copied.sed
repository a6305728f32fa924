# program: sim-store
# file: broker/store/append.c
# what: a dead letter does not say what it replaces
s/m\.replaces = r->at;/m.replaces = (struct place){0};/
