# file: broker/model/remember.c
# program: sim-crash
# what: a confirm does not wait for its message
s|^    e->after = later(e->after, b->publishing.after);|    e->after = 0;|
