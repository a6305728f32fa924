# file: broker/net/gate.c
# program: sim-crash
# what: an event that has to wait for the journal does not
s/^        if (after > g->durable) {/        if (after > g->durable \&\& after == 0) {/
