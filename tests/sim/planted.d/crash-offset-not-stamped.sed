# file: broker/model/replay.c
# program: sim-crash
# what: a message of a stream is delivered before it is safe
s/if (f->after > s->after)/if (0)/
