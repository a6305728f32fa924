# file: broker/model/cold.c
# what: a restart forgets how often a message came back
# program: sim-crash
s/    e->deliveries = le->deliveries;/    e->deliveries = le->redelivered;/
