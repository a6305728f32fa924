# file: broker/net/gate.c
# program: sim-crash
# what: the gate lets go what is one record ahead of the disk
/^static const struct waiting \*line_first/,/^}/s/after <= durable/after <= durable + 1/
