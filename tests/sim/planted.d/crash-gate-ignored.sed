# file: broker/net/gate.c
# program: sim-crash
# what: an event that has to wait for the journal does not
/^size_t gate_hold/,/^}/s/} else if (!gate_holds(g, &events\[i\])) {/} else {/
