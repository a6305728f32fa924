# file: broker/net/gate.c
# program: sim-crash
# what: what comes behind an answer that waits does not wait for it
s/^        if (g->fence > g->durable) {/        if (g->fence > g->durable \&\& g->fence == 0) {/
