# file: broker/model/cold.c
# program: sim-crash
# what: what was loaded has never been delivered
s/e->redelivered = le->redelivered;/e->redelivered = false;/
