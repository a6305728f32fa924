# file: broker/net/gate.c
# program: sim-crash
# what: the gate lets go what is one record ahead of the disk
/^bool gate_take/,/^}/s/after > g->durable)/after > g->durable + 1)/
