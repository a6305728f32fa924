# file: broker/net/gate.c
# program: sim-crash
# what: what comes behind an answer that waits does not wait for it
/^static bool gate_holds/,/^}/s/if (g->fence > g->durable \&\&/if (false \&\&/
