# program: sim-store
# file: broker/store/append.c
# what: out again comes before given back
s/s->returns\.len + s->returns\.run\.count > 0/false/
